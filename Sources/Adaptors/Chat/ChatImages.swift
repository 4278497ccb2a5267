import RouterCore

/// Pictures of an answer in Chat Completions, as OpenRouter has them: `images` beside `content`, each an `image_url` with a data URL
/// (https://openrouter.ai/docs/guides/overview/multimodal/image-generation). OpenAI's own format has none.
enum ChatImages {
    static func read(_ message: JSONValue) -> [Conversation.Media] {
        (message["images"]?.arrayValue ?? []).compactMap { $0["image_url"]?["url"]?.stringValue }.filter { !$0.isEmpty }.map(DataURL.media)
    }

    static func entry(_ media: Conversation.Media, index: Int) -> JSONValue {
        let url =
            switch media {
            case .base64(let type, let data): DataURL.text(type: type, data: data)
            case .url(let text), .file(let text): text
            }
        return ["type": "image_url", "image_url": ["url": .string(url)], "index": .integer(index)]
    }
}
