import Foundation
import Testing

@Suite struct ClientTableTests {
    @Test func `docs/clients.md has the table of what the tests run`() throws {
        let file = GatewayProcess.repository.appendingPathComponent("docs/clients.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let (begin, end) = ("<!-- clients -->\n", "\n<!-- /clients -->")
        let from = try #require(text.range(of: begin)).upperBound
        // Both markers stand on lines of their own, with the table between them.
        let to = try #require(text.range(of: "<!-- /clients -->")).lowerBound
        let whole = text[..<from] + (try ClientTable.table()) + end + text[text.index(to, offsetBy: end.count - 1)...]
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] != nil {
            try String(whole).write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text == String(whole), "run `make docs` and read the difference")
        }
    }
}
