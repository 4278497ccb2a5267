/// RFC 4180.
package enum CSV {
    /// A text; one that a spreadsheet would take for a formula gets an apostrophe in front
    /// (https://owasp.org/www-community/attacks/CSV_Injection).
    /// Numbers are no texts: they stay as they are, with their signs.
    package static func field(_ text: String) -> String {
        let isFormula = text.utf8.first.map { "=+-@\t\r".utf8.contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        guard safe.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }

    package static func line(_ cells: [Cell]) -> String { cells.map(\.text).joined(separator: ",") + "\r\n" }

    package struct Cell: Sendable {
        var text: String

        package static func text(_ text: String?) -> Cell { Cell(text: text.map(CSV.field) ?? "") }
        package static func number(_ number: (some BinaryInteger)?) -> Cell { Cell(text: number.map { String($0) } ?? "") }
        /// Digits.
        package static func digits(_ text: String?) -> Cell { Cell(text: text ?? "") }
    }
}
