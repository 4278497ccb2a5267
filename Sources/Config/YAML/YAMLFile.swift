import Foundation
import Yams

/// Reads a YAML file into nodes with positions; problems become diagnostics.
struct YAMLFile {
    /// The path shown in diagnostics.
    let path: String
    let diagnostics: DiagnosticCollector
    /// In place of what the file has.
    var text: String?

    private static let maximumBytes = 8 * 1024 * 1024
    private static let maximumNodes = 500_000
    /// Marks the key of a reported duplicate, so that the rest of the file can still be checked.
    static let duplicateMark = "\u{E000}"

    /// - Returns: nil after an error.
    func root() -> Node? {
        if let text { return root(of: text) }
        guard let data = FileManager.default.contents(atPath: path) else {
            return fail("cannot read the file")
        }
        guard data.count <= Self.maximumBytes else { return fail("larger than \(Self.maximumBytes) bytes") }
        guard let text = String(data: data, encoding: .utf8) else { return fail("not UTF-8 text") }
        return root(of: text)
    }

    func root(of original: String) -> Node? {
        var text = original
        for _ in 0..<100 {
            do {
                guard let node = try Yams.compose(yaml: text) else { return fail("the file is empty") }
                var count = 0
                guard Self.isSmall(node, &count) else {
                    return fail("more than \(Self.maximumNodes) nodes (do aliases multiply?)")
                }
                return node
            } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
                guard let next = report(duplicates, context.mark, text) else { return nil }
                text = next
            } catch let error as YamlError {
                return report(error)
            } catch {
                return fail("not YAML: \(error)")
            }
        }
        return fail("more than 100 duplicate keys")
    }

    private static func isSmall(_ node: Node, _ count: inout Int) -> Bool {
        count += 1
        guard count <= maximumNodes else { return false }
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping { if !isSmall(key, &count) || !isSmall(value, &count) { return false } }
        case .sequence(let sequence):
            for element in sequence where !isSmall(element, &count) { return false }
        default: break
        }
        return true
    }

    private func fail(_ message: String) -> Node? {
        diagnostics.add(Diagnostic(.error, file: path, message: message))
        return nil
    }

    private func report(_ error: YamlError) -> Node? {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            diagnostics.add(
                Diagnostic(.error, file: path, line: mark.line, column: mark.column, message: "not YAML: \(problem)"))
        default: diagnostics.add(Diagnostic(.error, file: path, message: "not YAML: \(error)"))
        }
        return nil
    }

    /// Reports each further use of a key at its position, and renames it (to the same number of characters) for the next reading.
    /// - Returns: nil when the position cannot be found (keys in flow style over several lines); the mapping's position is then reported.
    private func report(_ duplicates: [String], _ mapping: Mark, _ text: String) -> String? {
        var lines = text.components(separatedBy: "\n")
        var renamed = false
        for key in duplicates {
            var uses = 0
            for index in (mapping.line - 1)..<lines.count {
                let places = Self.places(of: key, in: lines[index], from: index == mapping.line - 1 ? mapping.column - 1 : 0)
                for column in places where index == mapping.line - 1 || Self.indent(lines[index]) == mapping.column - 1 || places.count > 1
                {
                    uses += 1
                    guard uses > 1 else { continue }
                    diagnostics.add(
                        Diagnostic(
                            .error, file: path, line: index + 1, column: column + 1, path: key, message: "duplicate key"))
                    var scalars = Array(lines[index].unicodeScalars)
                    scalars[column] = Unicode.Scalar(0xE000)!
                    var changed = String.UnicodeScalarView()
                    changed.append(contentsOf: scalars)
                    lines[index] = String(changed)
                    renamed = true
                }
            }
        }
        if renamed { return lines.joined(separator: "\n") }
        let names = duplicates.joined(separator: ", ")
        diagnostics.add(
            Diagnostic(
                .error, file: path, line: mapping.line, column: mapping.column, message: "duplicate keys in this mapping: \(names)"))
        return nil
    }

    private static func indent(_ line: String) -> Int { line.prefix { $0 == " " || $0 == "-" }.count }

    /// Columns (from 0, in scalars) at which `key:` is used as a key.
    private static func places(of key: String, in line: String, from start: Int) -> [Int] {
        let scalars = Array(line.unicodeScalars)
        let wanted = Array((key + ":").unicodeScalars)
        var result: [Int] = []
        guard scalars.count >= wanted.count else { return [] }
        for column in max(0, start)...max(max(0, start), scalars.count - wanted.count)
        where column + wanted.count <= scalars.count && Array(scalars[column..<column + wanted.count]) == wanted {
            let before = column == 0 ? " " : scalars[column - 1]
            if before == " " || before == "{" || before == "," { result.append(column) }
        }
        return result
    }
}
