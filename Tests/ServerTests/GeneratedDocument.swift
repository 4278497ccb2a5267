import Foundation
import Testing

/// A document that is made from declarations in the code. `UPDATE_GOLDEN=1` (`make docs`) writes it, else it is compared.
enum GeneratedDocument {
    static let command = "`make docs` writes it anew"

    static var isUpdating: Bool { ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" }

    static func check(_ path: String, _ text: String) throws {
        let file = TestGateway.root.appendingPathComponent(path)
        if isUpdating { return try text.write(to: file, atomically: true, encoding: .utf8) }
        let published = try? String(contentsOf: file, encoding: .utf8)
        #expect(published == text, "\(path) is not what the code says; \(command)")
    }
}
