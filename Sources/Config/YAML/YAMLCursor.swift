import RouterCore
import Yams

/// A place in a YAML document: knows its file, path and position, and reports problems there.
struct YAMLCursor {
    let node: Node
    let path: String
    let context: Context

    /// The state that all cursors of one file share.
    final class Context {
        let file: String
        let diagnostics: DiagnosticCollector
        let expansion: Expansion
        init(file: String, diagnostics: DiagnosticCollector, expansion: Expansion) {
            self.file = file
            self.diagnostics = diagnostics
            self.expansion = expansion
        }
    }

    // MARK: Reporting

    func error(_ message: String) { report(.error, message) }
    func warning(_ message: String) { report(.warning, message) }

    private func report(_ severity: Diagnostic.Severity, _ message: String) {
        let mark = node.mark
        context.diagnostics.add(
            Diagnostic(
                severity, file: context.file, line: mark?.line ?? 1, column: mark?.column ?? 1, path: path, message: message))
    }

    func mismatch(_ expected: String, suggestion: String = "") {
        error("found \(found), expected \(expected)\(suggestion)")
    }

    /// A description of the value. Text from the environment is shown as its reference.
    var found: String {
        switch node {
        case .mapping: return "a mapping"
        case .sequence: return "a list"
        case .scalar(let scalar):
            if scalar.style == .plain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) { return "nothing" }
            let text = scalar.string.count > 60 ? String(scalar.string.prefix(60)) + "…" : scalar.string
            return scalar.style == .plain && Scalar.looksTyped(scalar.string) ? text : "\"\(text)\""
        default: return "an alias"
        }
    }

    // MARK: Structure

    /// The members of a mapping; reports unknown keys with the nearest known one.
    func object(_ known: [String]) -> YAMLObject? {
        guard case .mapping(let mapping) = node else {
            mismatch("a mapping with the keys \(known.joined(separator: ", "))")
            return nil
        }
        var members: [String: YAMLCursor] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            if name.hasPrefix(YAMLFile.duplicateMark) { continue }
            let child = YAMLCursor(node: value, path: path.isEmpty ? name : "\(path).\(name)", context: context)
            if known.contains(name) {
                members[name] = child
            } else {
                let place = YAMLCursor(node: key, path: child.path, context: context)
                let nearest = NearestWord.suggestion(for: name, among: known)
                place.error("unknown key" + (nearest.isEmpty ? ", expected one of \(known.joined(separator: ", "))" : nearest))
            }
        }
        return YAMLObject(cursor: self, members: members)
    }

    /// The members of a mapping with free names, in order.
    func entries(_ expected: String) -> [(name: String, value: YAMLCursor)]? {
        guard case .mapping(let mapping) = node else {
            mismatch(expected)
            return nil
        }
        return mapping.compactMap { key, value in
            let name = key.scalar?.string ?? ""
            if name.hasPrefix(YAMLFile.duplicateMark) { return nil }
            return (name, YAMLCursor(node: value, path: "\(path).\(name)", context: context))
        }
    }

    func list(_ expected: String) -> [YAMLCursor]? {
        guard case .sequence(let sequence) = node else {
            mismatch(expected)
            return nil
        }
        return sequence.enumerated().map { index, element in
            YAMLCursor(node: element, path: "\(path)[\(index)]", context: context)
        }
    }

    // MARK: Scalars

    struct Scalar {
        var text: String
        var isPlain: Bool
        var isExpanded: Bool

        static func looksTyped(_ text: String) -> Bool {
            ["true", "false", "True", "False", "TRUE", "FALSE"].contains(text) || (try? DecimalProbe(text)) != nil
        }
        var isBoolean: Bool { isPlain && ["true", "false", "True", "False", "TRUE", "FALSE"].contains(text) }
        var isNumber: Bool { isPlain && (try? DecimalProbe(text)) != nil }
        var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(text) }
    }

    enum ScalarResult {
        case value(Scalar)
        case unset([String])
        case none
    }

    /// The scalar with references expanded. Reports wrong structure and malformed references; the caller decides about unset variables.
    func scalar(_ expected: String) -> ScalarResult {
        guard case .scalar(let scalar) = node else {
            mismatch(expected)
            return .none
        }
        let isPlain = scalar.style == .plain || scalar.style == .any
        switch context.expansion.expand(scalar.string) {
        case .plain(let text): return .value(Scalar(text: text, isPlain: isPlain, isExpanded: false))
        case .expanded(let text): return .value(Scalar(text: text, isPlain: isPlain, isExpanded: true))
        case .unset(let names): return .unset(names)
        case .malformed(let problem):
            error(problem)
            return .none
        }
    }

    private func required(_ expected: String) -> Scalar? {
        switch scalar(expected) {
        case .value(let scalar): return scalar
        case .unset(let names):
            error("environment variable \(names.joined(separator: ", ")) is not set (write ${NAME:-default} to give a default)")
            return nil
        case .none: return nil
        }
    }

    func string(_ expected: String = "text", allowEmpty: Bool = false) -> String? {
        guard let scalar = required(expected) else { return nil }
        if scalar.isNull && !allowEmpty || scalar.isBoolean || (scalar.isNumber && !scalar.isExpanded) {
            mismatch(scalar.isNumber ? "\(expected) (put it in quotes)" : expected)
            return nil
        }
        if scalar.text.isEmpty && !allowEmpty {
            mismatch(expected)
            return nil
        }
        return scalar.text
    }

    func integer(_ range: ClosedRange<Int64>) -> Int64? {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let scalar = required(expected) else { return nil }
        guard scalar.isPlain, let value = Int64(scalar.text), range.contains(value) else {
            mismatch(expected)
            return nil
        }
        return value
    }

    /// The text of a number, with or without quotes: it is never converted to floating point.
    func decimal(_ expected: String) -> String? {
        guard let scalar = required(expected) else { return nil }
        guard (try? DecimalProbe(scalar.text)) != nil else {
            mismatch(expected)
            return nil
        }
        return scalar.text
    }

    func boolean() -> Bool? {
        guard let scalar = required("true or false") else { return nil }
        guard scalar.isBoolean else {
            mismatch("true or false")
            return nil
        }
        return scalar.text.lowercased() == "true"
    }

    func choice<Value: RawRepresentable & CaseIterable>(_ type: Value.Type) -> Value? where Value.RawValue == String {
        choice(among: Array(type.allCases))
    }

    func choice<Value: RawRepresentable>(among values: [Value]) -> Value? where Value.RawValue == String {
        let known = values.map(\.rawValue)
        let expected = "one of \(known.joined(separator: ", "))"
        guard let scalar = required(expected) else { return nil }
        guard let value = values.first(where: { $0.rawValue == scalar.text }) else {
            mismatch(expected, suggestion: NearestWord.suggestion(for: scalar.text, among: known))
            return nil
        }
        return value
    }

    /// `500ms`, `30s`, `5m`, `1h`; `0s` only where it means "never".
    func duration(allowsZero: Bool = false) -> Duration? {
        let expected = "a duration such as 500ms, 30s, 5m or 1h" + (allowsZero ? ", or 0s for never" : "")
        guard let scalar = required(expected) else { return nil }
        guard let value = DurationText.parse(scalar.text), value > .zero || (allowsZero && value == .zero) else {
            mismatch(expected)
            return nil
        }
        return value
    }
}

/// A mapping whose keys have been checked.
struct YAMLObject {
    let cursor: YAMLCursor
    let members: [String: YAMLCursor]

    subscript(_ name: String) -> YAMLCursor? { members[name] }

    func require(_ name: String) -> YAMLCursor? {
        if let member = members[name] { return member }
        cursor.error("the key \(name) is missing")
        return nil
    }
}

/// Whether text is a number in the sense of YAML.
struct DecimalProbe {
    init(_ text: String) throws { _ = try DecimalText(text) }
}

enum DurationText {
    static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let value = Int64(digits), value <= 1_000_000_000 else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(value)
        case "s": return .seconds(value)
        case "m": return .seconds(value * 60)
        case "h": return .seconds(value * 3600)
        case "d": return .seconds(value * 86_400)
        default: return nil
        }
    }
}
