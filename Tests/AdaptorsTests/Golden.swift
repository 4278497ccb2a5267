import Foundation
import NIOCore
import RouterCore
import Testing

/// Recorded inputs and what must become of them, as files beside the tests. `UPDATE_GOLDEN=1` writes what came out instead of comparing.
enum Golden {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")

    static func input(_ name: String) throws -> String {
        try String(contentsOf: folder.appendingPathComponent("in/" + name), encoding: .utf8)
    }

    static func check(_ text: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let file = folder.appendingPathComponent(name)
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" { try text.write(to: file, atomically: true, encoding: .utf8) }
        let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        #expect(text.utf8.elementsEqual(expected.utf8), "\(name) differs:\n\(text)", sourceLocation: sourceLocation)
    }

    /// One member a line, so that a difference is readable; number text stays.
    static func pretty(_ value: JSONValue, _ indent: String = "") -> String {
        let deeper = indent + "  "
        switch value {
        case .object(let members) where !members.isEmpty && value.text.utf8.count > 60:
            let lines = members.map { "\(deeper)\(JSONValue.string($0.name).text): \(pretty($0.value, deeper))" }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(indent)}"
        case .array(let elements) where !elements.isEmpty && value.text.utf8.count > 60:
            return "[\n" + elements.map { deeper + pretty($0, deeper) }.joined(separator: ",\n") + "\n\(indent)]"
        default: return value.text
        }
    }

    static func pretty(_ body: ByteBuffer) throws -> String { pretty(try JSONValue(parsing: body)) + "\n" }
}
