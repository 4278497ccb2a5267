/// `${NAME}` and `${NAME:-default}` in strings; `$${` is a literal `${`.
struct Expansion {
    let environment: [String: String]
    /// References are text like any other: what people type into the console must not read the gateway's environment.
    var isLiteral = false

    static let literal = Expansion(environment: [:], isLiteral: true)

    enum Result {
        /// A text without references.
        case plain(String)
        case expanded(String)
        /// References without a value and without a default.
        case unset([String])
        case malformed(String)
    }

    func expand(_ text: String) -> Result {
        guard !isLiteral, text.contains("${") else { return .plain(text) }
        var output = ""
        var unset: [String] = []
        var hasReference = false
        var rest = Substring(text)
        while let dollar = rest.range(of: "${") {
            let before = rest[..<dollar.lowerBound]
            if before.hasSuffix("$") {
                output += before.dropLast() + "${"
                rest = rest[dollar.upperBound...]
                continue
            }
            output += before
            guard let close = rest[dollar.upperBound...].firstIndex(of: "}") else {
                return .malformed("a '${' without its '}'")
            }
            let body = rest[dollar.upperBound..<close]
            let parts = body.split(separator: ":-", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard Self.isName(name) else { return .malformed("'${\(body)}' is no variable reference") }
            hasReference = true
            if let value = environment[name], !value.isEmpty {
                output += value
            } else if parts.count == 2 {
                output += parts[1]
            } else {
                unset.append(name)
            }
            rest = rest[rest.index(after: close)...]
        }
        output += rest
        if !unset.isEmpty { return .unset(unset) }
        return hasReference ? .expanded(output) : .plain(output)
    }

    /// Names without a default, in order.
    static func names(in text: String) -> [String] {
        if case .unset(let names) = Expansion(environment: [:]).expand(text) { names } else { [] }
    }

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(first >= 0x30 && first <= 0x39) else { return false }
        return text.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x5F }
    }
}

extension Substring {
    /// The first occurrence of a short text.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
