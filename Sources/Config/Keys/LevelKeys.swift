import RouterCore

/// `levels:` of gateway.yaml.
enum LevelKeys {
    /// A longer list is a mistake.
    private static let most = 50
    private static let expected = "a list of { name, at_least, group }"
    private static let amount = "USD from 0 to 1000000000 with at most nine decimals"

    /// Read after `groups`, whose names it uses.
    static let key = ConfigKey<GatewayConfiguration>(name: "levels") { cursor, configuration in
        guard let list = cursor.list(expected) else { return }
        if list.count > most { return cursor.error("more than \(most) levels") }
        var levels: [AccountLevel] = []
        for entry in list {
            guard let level = readLevel(entry, groups: configuration.groups.keys.sorted()) else { continue }
            if levels.contains(where: { $0.name == level.name }) { entry.error("there is another level \"\(level.name)\"") }
            if levels.contains(where: { $0.atLeast == level.atLeast }) { entry.error("there is another level from \(level.atLeast) on") }
            levels.append(level)
        }
        configuration.levels = levels.sorted { $0.atLeast < $1.atLeast }
    } rows: { whole, _ in
        [
            ConfigRow(
                path: "\(whole)[].name", type: "text", standard: "none", meaning: "what people call the level; no two have one name"),
            ConfigRow(
                path: "\(whole)[].at_least", type: "USD, 0 to 1000000000", standard: "none",
                meaning: "what an account must have recharged in cash in all, see [accounts.md](accounts.md#levels)"),
            ConfigRow(
                path: "\(whole)[].group", type: "name of a group", standard: "none", meaning: "the group that the account gets then"),
        ]
    }

    private static func readLevel(_ cursor: YAMLCursor, groups: [String]) -> AccountLevel? {
        guard let object = cursor.object(["name", "at_least", "group"]) else { return nil }
        let name = object.require("name")?.string("a name")
        let atLeast = object.require("at_least").flatMap(readAmount)
        let group = object.require("group").flatMap { readGroup($0, groups) }
        guard let name, let atLeast, let group else { return nil }
        guard name.utf8.count <= 64 else {
            object["name"]?.mismatch("a name of at most 64 bytes")
            return nil
        }
        return AccountLevel(name: name, atLeast: atLeast, group: group)
    }

    private static func readAmount(_ cursor: YAMLCursor) -> NanoUSD? {
        guard let text = cursor.decimal(amount) else { return nil }
        guard let value = try? NanoUSD(usd: text), !value.isNegative, value.nanos <= 1_000_000_000_000_000_000 else {
            cursor.mismatch(amount)
            return nil
        }
        return value
    }

    private static func readGroup(_ cursor: YAMLCursor, _ known: [String]) -> String? {
        guard let name = cursor.string("a group") else { return nil }
        guard known.contains(name) else {
            cursor.mismatch(
                "one of the groups (\(known.joined(separator: ", ")))", suggestion: NearestWord.suggestion(for: name, among: known))
            return nil
        }
        return name
    }
}
