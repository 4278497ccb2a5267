/// `data:image/png;base64,…` (RFC 2397) taken apart and put together.
enum DataURL {
    static func media(_ url: String) -> Conversation.Media {
        guard url.hasPrefix("data:"), let comma = url.utf8.firstIndex(of: UInt8(ascii: ",")) else { return .url(url) }
        let head = url[url.index(url.startIndex, offsetBy: 5)..<comma]
        guard head.hasSuffix(";base64") else { return .url(url) }
        let type = head.prefix { $0 != ";" }
        return .base64(type: String(type), data: String(url[url.index(after: comma)...]))
    }

    static func text(type: String, data: String) -> String { "data:\(type);base64,\(data)" }

    /// The media type of OpenAI's audio formats.
    static func audioType(_ format: String) -> String {
        switch format {
        case "mp3": "audio/mp3"
        default: "audio/\(format)"
        }
    }

    /// The media type that the end of a URL's path tells; Gemini wants one with every URI.
    static func type(ofURL url: String) -> String? {
        let path = url.prefix { $0 != "?" && $0 != "#" }.lowercased()
        let types = [
            ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
            ".heic": "image/heic", ".pdf": "application/pdf",
        ]
        return types.first { path.hasSuffix($0.key) }?.value
    }
}
