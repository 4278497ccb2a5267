import RouterCore

/// As ``Catalogue`` keeps it: only what is known.
extension ModelFacts {
    private static let texts: [(name: String, path: any WritableKeyPath<ModelFacts, String?> & Sendable)] = [
        ("slug", \.canonicalSlug), ("hugging_face", \.huggingFaceID), ("modality", \.modality), ("tokenizer", \.tokenizer),
        ("instruct", \.instructType), ("cutoff", \.knowledgeCutoff), ("expires", \.expirationDate),
    ]

    var json: JSONValue {
        var members = Self.texts.compactMap { name, path in self[keyPath: path].map { JSONValue.Member(name, .string($0)) } }
        if let created { members.append(.init("created", .integer(created))) }
        if let isModerated { members.append(.init("moderated", .boolean(isModerated))) }
        if !supportedParameters.isEmpty { members.append(.init("takes", .array(supportedParameters.map { .string($0) }))) }
        if !defaultParameters.isEmpty { members.append(.init("defaults", .object(defaultParameters))) }
        return .object(members)
    }

    init(_ json: JSONValue) {
        self.init()
        for (name, path) in Self.texts { self[keyPath: path] = json[name]?.stringValue }
        created = json["created"]?.integerValue
        isModerated = json["moderated"]?.boolValue
        supportedParameters = json["takes"]?.arrayValue?.compactMap(\.stringValue) ?? []
        if case .object(let members)? = json["defaults"] { defaultParameters = members }
    }
}
