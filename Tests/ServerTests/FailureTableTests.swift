import Foundation
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

@Suite struct FailureTableTests {
    /// `UPDATE_GOLDEN=1` writes the table into the document.
    @Test func `the published table of failures is what the code does`() throws {
        let file = TestGateway.root.appendingPathComponent("docs/routing.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let begin = try #require(text.range(of: "<!-- failures -->\n"))
        let end = try #require(text.range(of: "<!-- /failures -->"))
        let published = text[begin.upperBound..<end.lowerBound]
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            let changed = text.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: FailureTable.markdown)
            try changed.write(to: file, atomically: true, encoding: .utf8)
            return
        }
        #expect(published == FailureTable.markdown, "run the tests of this suite with UPDATE_GOLDEN=1")
    }
}
