public import NIOCore

extension RequestEnvelope {
    /// The body with this model where it names none (absent or null); a body that is not a JSON object is returned unchanged and refused
    /// later.
    public static func naming(_ model: String, in body: ByteBuffer) -> ByteBuffer {
        let bytes = body.readableBytesUInt8Span
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard (try? JSONScanner.validate(bytes)) != nil, var cursor = try? JSONObjectCursor(bytes, at: start) else { return body }
        var splice = BodySplice()
        var isEmpty = true
        while let member = try? cursor.next(bytes) {
            isEmpty = false
            guard JSONText.isKey(member, "model", bytes) else { continue }
            guard member.kind == .null, !member.keyHasEscapes else { return body }
            splice.replace(member.value, with: JSONValue.string(model).text)
        }
        if splice.isEmpty { splice.insert("\"model\":\(JSONValue.string(model).text)\(isEmpty ? "" : ",")", at: start + 1) }
        return splice.applied(to: body)
    }

    public var delivery: AnswerDelivery { isStream ? .events : endpoint.operation.wholeDelivery }

    /// The text of a field, if it is a string of the usual length; otherwise nil.
    func optionalText(_ name: StaticString, _ bytes: Span<UInt8>) -> String? {
        guard let member = member(name), member.kind == .string, member.value.count <= Self.maximumText else { return nil }
        return JSONText.string(bytes, value: member.value)
    }
}
