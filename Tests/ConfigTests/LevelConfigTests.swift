import Foundation
import RouterCore
import Testing

@testable import Config

/// `levels:` of gateway.yaml.
@Suite struct LevelConfigTests {
    private func load(_ gateway: String) throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("levels-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("gateway.yaml")
        try ("providers_dir: providers\n" + gateway).write(to: path, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        return try ConfigLoader(environment: [:]).load(path: path.path)
    }

    /// Before the groups that it names, and not in the order of its amounts.
    @Test func `levels are in the order of their amounts`() throws {
        let levels = try load(
            """
            levels:
              - { name: gold, at_least: "100", group: best }
              - { name: silver, at_least: 9.99, group: vip }
              - { name: new, at_least: 0, group: default }
            groups: { vip: { ratio: 0.9 }, best: { ratio: 0.8 } }
            """
        ).levels
        #expect(levels.map(\.name) == ["new", "silver", "gold"] && levels.map(\.group) == ["default", "vip", "best"])
        #expect(levels.map(\.atLeast.nanos) == [0, 9_990_000_000, 100_000_000_000])
        #expect(try load("levels: []\n").levels.isEmpty && load("").levels.isEmpty)
    }

    @Test(arguments: [
        ("levels: 5\n", "levels", "a list of { name, at_least, group }"),
        ("levels: [5]\n", "levels[0]", "a mapping with the keys name, at_least, group"),
        ("levels: [{ name: a, group: default }]\n", "levels[0]", "the key at_least is missing"),
        ("levels: [{ name: a, at_least: x, group: default }]\n", "levels[0].at_least", "USD from 0 to 1000000000"),
        ("levels: [{ name: a, at_least: -1, group: default }]\n", "levels[0].at_least", "USD from 0 to 1000000000"),
        ("levels: [{ name: a, at_least: 1000000001, group: default }]\n", "levels[0].at_least", "USD from 0 to 1000000000"),
        ("levels: [{ name: a, at_least: 0.0000000001, group: default }]\n", "levels[0].at_least", "at most nine decimals"),
        ("levels: [{ name: a, at_least: 1, group: defualt }]\n", "levels[0].group", "did you mean default?"),
        ("levels: [{ name: a, at_least: 1, group: default, x: 1 }]\n", "levels[0].x", "unknown key"),
        (
            "levels: [{ name: a, at_least: 1, group: default }, { name: a, at_least: 2, group: default }]\n", "levels[1]",
            "there is another level \"a\""
        ),
        (
            "levels: [{ name: a, at_least: 1, group: default }, { name: b, at_least: 1.0, group: default }]\n", "levels[1]",
            "there is another level from $1 on"
        ),
        ("levels: [{ name: \(String(repeating: "n", count: 65)), at_least: 1, group: default }]\n", "levels[0].name", "at most 64 bytes"),
        (
            "levels: [" + (0...50).map { "{ name: n\($0), at_least: \($0), group: default }" }.joined(separator: ", ") + "]\n", "levels",
            "more than 50 levels"
        ),
    ])
    func `a level that is wrong is named`(_ yaml: String, _ path: String, _ message: String) throws {
        let error = #expect(throws: ConfigErrors.self) { try load(yaml) }
        let first = try #require(error?.diagnostics.first)
        #expect(first.path == path && first.message.contains(message), "\(first)")
    }
}
