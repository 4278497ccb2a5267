/// One mistake or warning, in the form that editors jump to: `file:line:column: error: path: found X, expected Y`.
public struct Diagnostic: Sendable, Hashable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable {
        case error, warning
    }
    public var severity: Severity
    public var file: String
    /// The line number, from 1.
    public var line: Int
    public var column: Int
    /// The place in the document: `channels[1].weight`; empty for the file as a whole.
    public var path: String
    public var message: String

    public init(
        _ severity: Severity, file: String, line: Int = 1, column: Int = 1, path: String = "", message: String
    ) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.message = message
    }

    public var description: String {
        "\(file):\(line):\(column): \(severity.rawValue): " + (path.isEmpty ? "" : "\(path): ") + message
    }
}

/// All errors of a configuration, found in one run.
public struct ConfigErrors: Error, Sendable, Hashable, CustomStringConvertible {
    public var diagnostics: [Diagnostic]
    public init(diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }
    public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

extension [Diagnostic] {
    /// Files in the order in which they were read, positions from top to bottom.
    var inReadingOrder: [Diagnostic] {
        var files: [String] = []
        for diagnostic in self where !files.contains(diagnostic.file) { files.append(diagnostic.file) }
        return files.flatMap { file in
            filter { $0.file == file }.sorted { ($0.line, $0.column) < ($1.line, $1.column) }
        }
    }
}

/// Collects diagnostics while files are decoded. Confined to one load.
final class DiagnosticCollector {
    private(set) var all: [Diagnostic] = []

    func add(_ diagnostic: Diagnostic) {
        if !all.contains(diagnostic) { all.append(diagnostic) }
    }

    var errors: [Diagnostic] { all.filter { $0.severity == .error } }
    var warnings: [Diagnostic] { all.filter { $0.severity == .warning } }
    func hasErrors(in file: String) -> Bool { all.contains { $0.file == file && $0.severity == .error } }
}

/// Finds the known word that was probably meant.
enum NearestWord {
    static func suggestion(for word: String, among known: [String]) -> String {
        let best = known.map { ($0, distance(word.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
        guard let best, best.1 <= max(1, min(3, word.count / 3)) else { return "" }
        return " (did you mean \(best.0)?)"
    }

    /// Number of edits between two words; swapping two neighbours counts as one (optimal string alignment).
    static func distance(_ left: String, _ right: String) -> Int {
        let a = Array(left.unicodeScalars)
        let b = Array(right.unicodeScalars)
        if a.isEmpty || b.isEmpty { return max(a.count, b.count) }
        var rows = Array(repeating: Array(repeating: 0, count: b.count + 1), count: a.count + 1)
        for i in 0...a.count { rows[i][0] = i }
        for j in 0...b.count { rows[0][j] = j }
        for i in 1...a.count {
            for j in 1...b.count {
                let cost = a[i - 1] == b[j - 1] ? 0 : 1
                rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost)
                if i > 1, j > 1, a[i - 1] == b[j - 2], a[i - 2] == b[j - 1] {
                    rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
                }
            }
        }
        return rows[a.count][b.count]
    }
}
