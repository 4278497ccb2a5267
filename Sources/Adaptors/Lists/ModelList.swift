import NIOCore
import RouterCore

/// What the readers of vendors' lists of models have in common.
enum ModelList {
    /// Longest description that is kept, in characters; lists have whole articles.
    private static let descriptionLimit = 2_000
    private static let idLimit = 256

    /// - Returns: nil when the body is not JSON or has no such array. Entries that cannot be a model are left out, and so are repetitions.
    static func read(_ body: ByteBuffer, under member: String, _ model: (JSONValue) -> ListedModel?) -> [ListedModel]? {
        guard let entries = (try? JSONValue(parsing: body))?[member]?.arrayValue else { return nil }
        var seen: Set<String> = []
        return entries.compactMap { entry in
            guard var model = model(entry), !model.id.isEmpty, model.id.utf8.count <= idLimit, seen.insert(model.id).inserted else {
                return nil
            }
            model.description = model.description.map { String($0.prefix(descriptionLimit)) }
            return model
        }
    }

    /// A limit in tokens; nil for anything else (null, 0, text).
    static func tokens(_ value: JSONValue?) -> Int64? {
        guard let count = value?.integerValue, (1...1_000_000_000).contains(count) else { return nil }
        return count
    }
}
