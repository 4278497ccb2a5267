import Config
import RouterCore

/// The part of a secret that is shown: enough to recognise it, too little to use it.
enum SecretHint {
    /// `…abcd`, with the family's prefix (`sk-`); the end is shown of long secrets only.
    static func text(_ secret: Secret) -> String {
        let text = secret.reveal()
        guard text.utf8.count >= 16 else { return "…" }
        let prefix = text.hasPrefix("sk-") ? "sk-" : ""
        return prefix + "…" + text.suffix(4)
    }
}

/// A proxy without its user and password.
enum ProxyText {
    static func shown(_ proxy: Secret) -> String {
        let text = proxy.reveal()
        guard let scheme = text.firstRange(of: "://") else { return "…" }
        // The last '@' comes first: a password may have every other character in it.
        let place = text[scheme.upperBound...].split(separator: "@", omittingEmptySubsequences: false).last ?? ""
        return String(text[..<scheme.upperBound] + place.prefix { !"/?#".contains($0) })
    }
}

/// A secret in a body; errors do not repeat it.
enum SecretText {
    static let maximumBytes = 8_192

    /// - Returns: nil when it is absent, null or empty.
    /// - Throws: ``ManagementError`` 400.
    static func read(_ value: JSONValue?, _ field: String) throws -> Secret? {
        guard let value, !value.isNull else { return nil }
        guard let text = value.stringValue, text.utf8.count <= maximumBytes, !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
        else {
            throw ManagementError.invalidSecret(
                field,
                Expected(
                    "a string of at most \(maximumBytes) bytes without spaces or line breaks",
                    codes: ["string", "max_bytes:\(maximumBytes)", "no_spaces"]))
        }
        return text.isEmpty ? nil : Secret(text)
    }
}

extension ConfigSource {
    var json: JSONValue {
        switch self {
        case .file(let path, let line): ["kind": "file", "file": .string(path), "line": .integer(line)]
        case .console: ["kind": "console"]
        }
    }
}

extension Diagnostic {
    /// One of a channel or provider of the console, whose place is a field.
    var consoleJSON: JSONValue {
        ["severity": .string(severity.rawValue), "message": .string(message), "field": .string(path)]
    }
}

extension JSONValue {
    static func names(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
}

extension Optional {
    func asyncMap<Value>(_ body: (Wrapped) async throws -> Value) async rethrows -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
