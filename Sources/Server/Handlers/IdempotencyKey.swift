import HTTPTypes
import Hummingbird
import RouterCore

/// The caller's name for an operation, which makes it safe to repeat: the header `Idempotency-Key`, or `reference_id` in the body.
enum IdempotencyKey {
    private static let headerName = HTTPField.Name("Idempotency-Key")
    private static let maximumBytes = 100

    /// - Returns: nil when the caller has given none.
    /// - Throws: ``ManagementError`` 400 for a key that is too long or has control characters, and when header and body differ.
    static func either(_ request: Request, _ fields: RequestFields) throws -> String? {
        let named = try header(request)
        guard let reference = try fields.string("reference_id") else { return named }
        try check(reference) { fields.wrong("reference_id", Expected($0)) }
        guard named == nil || named == reference else {
            throw ManagementError.invalid(
                "reference_id", Expected("the same as the header Idempotency-Key, or left out", codes: ["Idempotency-Key", "absent"]),
                message: "the header Idempotency-Key and 'reference_id' differ; send one of them, or the same in both")
        }
        return reference
    }

    /// - Throws: ``ManagementError`` 400.
    static func header(_ request: Request) throws -> String? {
        guard let headerName else { return nil }
        let values = request.headers[values: headerName]
        guard let first = values.first else { return nil }
        guard values.count == 1 else {
            throw ManagementError.badRequest("the header Idempotency-Key must be sent once")
        }
        // A structured field has quotes around a string; the same text without them is the same key.
        let isQuoted = first.count >= 2 && first.hasPrefix("\"") && first.hasSuffix("\"")
        let key = isQuoted ? String(first.dropFirst().dropLast()) : first
        try check(key) { .badRequest("the header Idempotency-Key must be \($0)") }
        guard key.utf8.allSatisfy({ $0 < 0x7F }) else {
            throw ManagementError.badRequest(
                "the header Idempotency-Key must be ASCII; 'reference_id' takes other characters too")
        }
        return key
    }

    private static func check(_ key: String, _ wrong: (String) -> ManagementError) throws {
        let isFine =
            (1...maximumBytes).contains(key.utf8.count) && !key.hasPrefix(" ") && !key.hasSuffix(" ")
            && key.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        guard isFine else {
            throw wrong(
                "a text of 1 to \(maximumBytes) bytes without control characters and without a space at either end")
        }
        // The gateway's own corrections use names of this form.
        guard !key.hasSuffix(":reconciled") else { throw wrong("a name that does not end with ':reconciled'") }
        for own in ["gift:", "code:"] where key.hasPrefix(own) { throw wrong("a name that does not begin with '\(own)'") }
    }
}
