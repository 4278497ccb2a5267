/// A value that must never be shown: an API key, a password, a proxy address with credentials.
///
/// It prints as `<redacted>` wherever a value can be printed (descriptions, dumps, mirrors) and is not `Encodable`.
/// The only way to the text is ``reveal()``, which is easy to search for in a review.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: String

    public init(_ value: String) { self.value = value }

    public var isEmpty: Bool { value.isEmpty }
    public var description: String { "<redacted>" }
    public var debugDescription: String { "<redacted>" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The text itself. Call it only where the value goes onto the wire or into a hash.
    public func reveal() -> String { value }
}
