import Foundation
import Testing

@testable import Config

/// The table of docs/configuration.md is made from the keys that the reader reads by.
@Suite struct ConfigReferenceTests {
    /// `UPDATE_GOLDEN=1` (`make docs`) writes the table into the document.
    @Test func `the published table of keys is what the reader reads by`() throws {
        let file = ConfigTests.repository.appendingPathComponent("docs/configuration.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- keys -->\n"))
        let end = try #require(text.range(of: "<!-- /keys -->"))
        let rows = GatewayFile.rows.map(\.markdown)
        let table = (["| key | type and bounds | default | meaning |", "|---|---|---|---|"] + rows).joined(separator: "\n") + "\n"
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try text.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: table).write(
                to: file, atomically: true, encoding: .utf8)
            return
        }
        #expect(text[begin.upperBound..<end.lowerBound] == table, "`make docs` writes it anew")
    }

    @Test func `every key has a row with a type and a meaning`() {
        let rows = GatewayFile.rows
        #expect(Set(rows.map(\.path)).count == rows.count && rows.count > 50)
        for row in rows { #expect(!row.type.isEmpty && !row.meaning.isEmpty && !row.standard.isEmpty, "\(row.path)") }
    }

    @Test(arguments: [
        (Duration.zero, "0s"), (.milliseconds(200), "200ms"), (.seconds(90), "90s"), (.seconds(120), "2m"), (.seconds(43_200), "12h"),
        (.milliseconds(1_500), "1500ms"),
    ])
    func `durations are written as they are read`(duration: Duration, text: String) {
        #expect(DurationText.text(duration) == text && DurationText.parse(text) == duration)
    }

    private func read(_ yaml: String) throws -> GatewayConfiguration {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder.appendingPathComponent("providers"), withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("gateway.yaml")
        try ("providers_dir: providers\n" + yaml).write(to: path, atomically: true, encoding: .utf8)
        try "channels: []\n".write(to: folder.appendingPathComponent("channels.yaml"), atomically: true, encoding: .utf8)
        return try ConfigLoader(environment: [:]).load(path: path.path)
    }

    /// Bounds of the rows that have numbers: they hold, and what lies outside is refused with the same bounds.
    @Test func `the bounds of a row are those of the reader`() throws {
        for row in GatewayFile.rows where !row.path.contains("<") {
            guard let bounds = row.type.firstMatch(of: /(\S+), (-?[0-9]+) to ([0-9]+)$/), !row.type.contains("USD") else { continue }
            let parts = row.path.split(separator: ".").map(String.init)
            func yaml(_ value: Int64) -> String {
                parts.dropLast().map { "\($0): { " }.joined() + "\(parts.last ?? ""): \(value)"
                    + parts.dropLast().map { _ in " }" }.joined()
                    + "\n"
            }
            let (low, high) = (try #require(Int64(bounds.2)), try #require(Int64(bounds.3)))
            for value in [low, high] { #expect(throws: Never.self, "\(row.path) \(value)") { try read(yaml(value)) } }
            for value in [low - 1, high + 1] {
                let error = #expect(throws: ConfigErrors.self, "\(row.path) \(value)") { try read(yaml(value)) }
                #expect(error?.description.contains("a whole number from \(low) to \(high)") == true, "\(row.path)")
            }
        }
    }
}
