import NIOCore

/// The parts of a request that a vendor bills beyond tokens, and those that are left out because they have no price.
public struct RequestExtras: Sendable {
    /// The request without what was left out.
    public var envelope: RequestEnvelope
    /// Types of the tools that were left out.
    public var leftOut: [String] = []
    /// Number of searches to hold.
    public var searches: Int64 = 0
    /// Searches that are charged for every answer, whether or not the vendor reports them.
    public var leastSearches: Int64 = 0

    /// Searches to hold for a search tool that sets no limit of its own.
    static let searchesPerTool: Int64 = 10

    /// Returns nil when the request has no such parts, as is the case for nearly all requests.
    /// - Parameters:
    ///   - pricesSearch: every candidate's price row has a price for a search.
    ///   - pricesRequest: every candidate's price row has a price per request, which covers the searches of models that always search.
    /// - Throws: ``RequestEnvelope/Rejection`` for an extra that has no price and that the request requires.
    public init?(
        _ envelope: RequestEnvelope, pricesSearch: @autoclosure () -> Bool, pricesRequest: @autoclosure () -> Bool = false
    ) throws(RequestEnvelope.Rejection) {
        guard envelope.prompt.hasForeignTools || envelope.asksForExtras else { return nil }
        self.envelope = envelope
        let isPriced = pricesSearch()
        try readFields(isPriced, pricesRequest())
        if envelope.prompt.hasForeignTools { try readTools(isPriced) }
    }

    private static func unpriced(_ name: String, _ what: String) -> RequestEnvelope.Rejection {
        RequestEnvelope.Rejection("'\(name)' \(what), for which this model has no price here; leave it out", param: name)
    }

    // MARK: Fields

    private mutating func readFields(_ pricesSearch: Bool, _ pricesRequest: Bool) throws(RequestEnvelope.Rejection) {
        // A local copy that is never changed: the spans of its body stay valid as long as it exists.
        let envelope = self.envelope
        let bytes = envelope.body.readableBytesUInt8Span
        let dialect = envelope.endpoint.dialect.request
        for member in envelope.members where member.kind != .null {
            let name = JSONText.string(bytes, content: member.key)
            switch dialect.extra(name, member, bytes) {
            case nil: break
            case .plugins: try readPlugins(member, pricesSearch)
            case .search: try search(name, pricesSearch)
            case .builtInSearch: if !pricesRequest { try search(name, pricesSearch) }
            case .unpriced(let what): throw Self.unpriced(name, what)
            }
        }
    }

    private mutating func search(_ name: String, _ pricesSearch: Bool) throws(RequestEnvelope.Rejection) {
        guard pricesSearch else { throw Self.unpriced(name, "asks for a web search") }
        searches += 1
        leastSearches = 1
    }

    /// OpenRouter's plugins (https://openrouter.ai/docs/features/plugins): some are free, the web plugin is one search with up to five
    /// results, and reading scanned files is billed by the page.
    private mutating func readPlugins(_ member: JSONMember, _ pricesSearch: Bool) throws(RequestEnvelope.Rejection) {
        let list = envelope.body.getSlice(at: envelope.body.readerIndex + member.value.lowerBound, length: member.value.count)
            .flatMap { try? JSONValue(parsing: $0) }
        guard let plugins = list?.arrayValue else { throw RequestEnvelope.Rejection("'plugins' must be an array", param: "plugins") }
        for plugin in plugins {
            switch plugin["id"]?.stringValue {
            case "response-healing", "moderation", "auto-router", "context-compression": break
            case "web": try search("plugins", pricesSearch)
            case "file-parser":
                let engine = plugin["pdf"]?["engine"]?.stringValue ?? plugin["engine"]?.stringValue
                guard engine == "pdf-text" || engine == "native" else {
                    throw Self.unpriced("plugins", "asks for files to be read by an engine that is billed by the page")
                }
            case let id: throw Self.unpriced("plugins", "asks for the plugin '\(id?.prefix(64) ?? "")'")
            }
        }
    }

    // MARK: Tools

    private mutating func readTools(_ pricesSearch: Bool) throws(RequestEnvelope.Rejection) {
        let envelope = self.envelope
        let bytes = envelope.body.readableBytesUInt8Span
        let lists = envelope.members.filter { JSONText.isKey($0, "tools", bytes) }
        guard lists.count <= 1 else { throw RequestEnvelope.Rejection("field 'tools' is given twice", param: "tools") }
        guard let member = lists.first, var cursor = try? JSONArrayCursor(bytes, at: member.value.lowerBound) else { return }
        var kept: [String] = []
        var names: [String] = []
        while let element = try? cursor.next(bytes) {
            let tool = try Tool(bytes, element, isKeyed: envelope.endpoint.dialect.request.hasKeyedTools, pricesSearch: pricesSearch)
            searches += tool.searches
            leftOut += tool.leftOut
            names += tool.leftOutNames
            if let json = tool.kept { kept.append(json) }
        }
        guard !leftOut.isEmpty else { return }
        try refuseDemanded(names, keepsNone: kept.isEmpty)
        try rebuild(member, kept)
    }

    /// Refuses a request whose `tool_choice` requires a tool that was left out.
    private func refuseDemanded(_ names: [String], keepsNone: Bool) throws(RequestEnvelope.Rejection) {
        let bytes = envelope.body.readableBytesUInt8Span
        let field = envelope.endpoint.dialect.request.toolChoice
        guard let choice = envelope.member("tool_choice") ?? envelope.member("toolConfig") ?? envelope.member("tool_config") else { return }
        let text = JSONText.raw(bytes, choice.value)
        let demanded = names.first { text.contains("\"\($0)\"") }
        let insists = text == "\"required\"" || text.contains("\"any\"") || text.contains("\"ANY\"")
        if let demanded { throw Self.unpriced(field, "demands '\(demanded)', a tool that the vendor runs") }
        if insists, keepsNone { throw Self.unpriced(field, "demands a tool, and all of 'tools' are run by the vendor") }
    }

    private mutating func rebuild(_ member: JSONMember, _ kept: [String]) throws(RequestEnvelope.Rejection) {
        let envelope = self.envelope
        let bytes = envelope.body.readableBytesUInt8Span
        var splice = BodySplice()
        if kept.isEmpty {
            let gone: Set<String> = ["tools", "tool_choice", "parallel_tool_calls", "toolConfig", "tool_config"]
            let staying = envelope.members.indices.filter { !gone.contains(JSONText.string(bytes, content: envelope.members[$0].key)) }
            splice.remove(from: envelope.members, except: Set(staying))
        } else {
            splice.replace(member.value, with: "[\(kept.joined(separator: ","))]")
        }
        self.envelope = try envelope.with(body: splice.applied(to: envelope.body))
    }

    /// One element of `tools`.
    private struct Tool {
        /// The JSON that is passed on; nil = the tool is left out.
        var kept: String?
        /// The types to report for tools that were left out, and the names by which a tool choice may refer to them.
        var leftOut: [String] = []
        var leftOutNames: [String] = []
        var searches: Int64 = 0

        init(
            _ bytes: Span<UInt8>, _ element: (range: Range<Int>, kind: JSONKind), isKeyed: Bool, pricesSearch: Bool
        ) throws(RequestEnvelope.Rejection) {
            kept = JSONText.raw(bytes, element.range)
            guard element.kind == .object, let text = kept, let tree = try? JSONValue(parsing: ByteBuffer(string: text)),
                case .object(let members) = tree
            else { return }
            if isKeyed {
                readGemini(members, pricesSearch)
                return
            }
            guard members.count(where: { $0.name == "type" }) <= 1 else {
                throw RequestEnvelope.Rejection("field 'type' of a tool is given twice", param: "tools")
            }
            let type = tree["type"]?.stringValue ?? ""
            var tool = VendorTool(type: type)
            if type == "shell", tree["environment"]?["type"] == "local" { tool = .client }
            guard tool.isCovered(pricesSearch: pricesSearch) else {
                leftOut = [Self.label(type)]
                leftOutNames = [type] + [tree["name"]?.stringValue].compactMap { $0 }
                kept = nil
                return
            }
            if case .search = tool {
                let bound = tree["max_uses"]?.integerValue ?? tree["parameters"]?["max_total_results"]?.integerValue
                searches = min(max(bound ?? RequestExtras.searchesPerTool, 1), 1_000)
            }
        }

        private mutating func readGemini(_ members: [JSONValue.Member], _ pricesSearch: Bool) {
            let covered = members.filter { VendorTool(geminiName: $0.name).isCovered(pricesSearch: pricesSearch) }
            for member in members where !covered.contains(where: { $0.name == member.name }) {
                leftOut.append(Self.label(member.name))
                leftOutNames.append(member.name)
            }
            for member in covered {
                if case .search = VendorTool(geminiName: member.name) { searches += RequestExtras.searchesPerTool }
            }
            if covered.count < members.count { kept = covered.isEmpty ? nil : JSONValue.object(covered).text }
        }

        /// Makes a name safe for a header: a client may call a tool anything.
        private static func label(_ name: String) -> String {
            let plain = String(
                name.prefix(64).unicodeScalars.filter {
                    $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "_-.:".unicodeScalars.contains($0))
                }
                .map(Character.init))
            return plain.isEmpty ? "unnamed" : plain
        }
    }
}

extension RequestEnvelope {
    /// Whether the request has any of the fields that may cost extra.
    fileprivate var asksForExtras: Bool {
        guard endpoint.hasOutputBound, !endpoint.dialect.namesModelInPath else { return false }
        let bytes = body.readableBytesUInt8Span
        return members.contains { member in
            switch member.key.count {
            case 5: JSONScanner.equals(bytes, member.key, "speed")
            case 7: JSONScanner.equals(bytes, member.key, "plugins")
            case 9: JSONScanner.equals(bytes, member.key, "container")
            case 13: JSONScanner.equals(bytes, member.key, "enable_search") || JSONScanner.equals(bytes, member.key, "inference_geo")
            case 17: JSONScanner.equals(bytes, member.key, "search_parameters")
            case 18: JSONScanner.equals(bytes, member.key, "web_search_options")
            default: false
            }
        }
    }

    /// The same request with another body.
    func with(body: ByteBuffer) throws(Rejection) -> RequestEnvelope { try endpoint.dialect.request.request(self, with: body) }
}
