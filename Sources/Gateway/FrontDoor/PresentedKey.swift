/// Finds the API key in a request, wherever its dialect puts it.
package enum PresentedKey {
    /// OpenAI's clients send `Authorization`, Anthropic's `x-api-key`, and Google's a header of their own or a query parameter, which is
    /// never logged.
    /// - Parameters:
    ///   - speaksGoogle: whether the request is in Google's dialect; in others, Google's header is ignored.
    ///   - queryKey: the query parameter `key`, read in Google's dialect only.
    ///   - header: returns the first value of a header, by its lower-case name.
    package static func find(
        speaksGoogle: Bool, queryKey: @autoclosure () -> String?, header: (String) -> String?
    ) -> String? {
        if let key = bearer(header("authorization")) { return key }
        if speaksGoogle, let key = header("x-goog-api-key") ?? queryKey() { return key }
        return header("x-api-key")
    }

    /// The token of an `Authorization` header, with or without the word `Bearer` before it.
    package static func bearer(_ header: String?) -> String? {
        guard let header, !header.isEmpty else { return nil }
        let bytes = header.utf8
        guard let space = bytes.firstIndex(of: 0x20),
            bytes[..<space].elementsEqual("bearer".utf8, by: { $0 | 0x20 == $1 })
        else { return header }
        return String(header[space...].drop { $0 == " " })
    }
}
