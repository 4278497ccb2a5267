import RouterCore

/// Pieces of requests in every dialect, with what an adversarial vendor may count for each: what strict admission must take, and what it
/// must refuse.
struct StrictSamples {
    /// A piece of JSON and the most tokens that a vendor may find in it.
    struct Piece {
        var json: String
        var tokens: Int64
        /// Nobody here can tell how much it counts.
        var isOpen = false
    }

    /// A picture, by its worst case.
    static let picture: Int64 = 1_105 * 8
    /// More than any of the holds here: a document behind an address, a conversation, a video.
    static let unknown: Int64 = 1_000_000_000

    static func open(_ json: String) -> Piece { Piece(json: json, tokens: unknown, isOpen: true) }

    /// Base64 of the head of a WAV file with silence behind it: 8,000 bytes a second.
    static let wave = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA" + String(repeating: "A", count: 101)
    /// Base64 of the head of an MP3 stream of 32 kbit/s.
    static let mp3 = "//MkxAA" + String(repeating: "A", count: 157)
    /// Base64 of FLAC and of Opus in Ogg: hours of silence in few bytes.
    static let flac = "ZkxhQwAAACI" + String(repeating: "A", count: 153)
    static let ogg = "T2dnUwACAAA" + String(repeating: "A", count: 153)
    /// What begins like a JPEG, and is text where it says so.
    static let jpegLike = "/9j/" + String(repeating: "word ", count: 30)

    // MARK: Parts

    static func goodParts(_ endpoint: Endpoint, text: Piece) -> [Piece] {
        let picture = Self.picture
        switch endpoint {
        case .chat:
            return [
                Piece(json: "{\"type\":\"text\",\"text\":\(text.json)}", tokens: text.tokens),
                Piece(json: #"{"type":"image_url","image_url":{"url":"https://a.example/b.png","detail":"high"}}"#, tokens: picture),
                Piece(json: #"{"type":"image_url","image_url":"data:image/png;base64,iVBORw0KGgo="}"#, tokens: picture),
                // Ten tokens a second, 8,000 bytes a second.
                Piece(json: "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\(wave)\",\"format\":\"wav\"}}", tokens: 1),
                Piece(json: "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\(mp3)\",\"format\":\"mp3\"}}", tokens: 1),
                Piece(json: #"{"type":"file","file":{"filename":"a","file_data":"data:text/plain;base64,aGVsbG8="}}"#, tokens: 5),
            ]
        case .responses:
            return [
                Piece(json: "{\"type\":\"input_text\",\"text\":\(text.json)}", tokens: text.tokens),
                Piece(
                    json: #"{"type":"input_image","image_url":"https://a.example/b.png","detail":"auto","file_id":null}"#, tokens: picture),
                Piece(json: #"{"type":"input_file","filename":"a","file_data":"data:text/csv;base64,YSxi"}"#, tokens: 3),
            ]
        case .messages:
            return [
                Piece(json: "{\"type\":\"text\",\"text\":\(text.json)}", tokens: text.tokens),
                Piece(
                    json: #"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}"#, tokens: picture),
                Piece(json: #"{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}}"#, tokens: picture),
                // The text of a document, however it begins.
                Piece(
                    json: "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":\"\(jpegLike)\"}}",
                    tokens: Int64(jpegLike.utf8.count)),
                Piece(
                    json: "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\",\"text\":\(text.json)}]}",
                    tokens: text.tokens),
                Piece(
                    json: "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"image_url\":\(text.json)}}", tokens: text.tokens),
            ]
        default:
            return [
                Piece(json: "{\"text\":\(text.json)}", tokens: text.tokens),
                Piece(json: #"{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}"#, tokens: picture),
                Piece(json: #"{"inline_data":{"mime_type":"text/plain","data":"aGVsbG8="}}"#, tokens: 5),
                // 32 tokens a second.
                Piece(json: "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"\(wave)\"}}", tokens: 1),
                Piece(json: "{\"functionCall\":{\"name\":\"f\",\"args\":{\"fileUri\":\(text.json)}}}", tokens: text.tokens),
            ]
        }
    }

    static func openParts(_ endpoint: Endpoint) -> [Piece] {
        let parts: [String]
        switch endpoint {
        case .chat:
            parts = [
                #"{"type":"file","file":{"file_id":"file-1"}}"#,
                #"{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0="}}"#,
                #"{"type":"file","file":{"file_data":"https://a.example/b.pdf"}}"#,
                #"{"type":"video_url","video_url":{"url":"https://a"}}"#,
                #"{"type":"image_url","image_url":{"url":"gs://bucket/film.mp4"}}"#,
                #"{"type":"image_url","image\u005furl":{"url":"https://a"}}"#, #"{"type":"text","text":"a","file_url":"https://a"}"#,
                "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\(flac)\",\"format\":\"wav\"}}",
                "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\(ogg)\",\"format\":\"mp3\"}}",
                #"{"type":"image_url","image_url":{"url":"data:video/mp4;base64,AAAA"}}"#, #"{"video":"https://a.example/b.mp4"}"#,
            ]
        case .responses:
            parts = [
                #"{"type":"input_file","file_url":"https://a.example/b.pdf"}"#, #"{"type":"input_file","file_id":"file-1"}"#,
                #"{"type":"input_image","file_id":"file-1"}"#, #"{"type":"input_file","file_data":"JVBERi0="}"#,
                #"{"type":"input_video","video_url":"https://a"}"#, #"{"type":"input_text","text":"a","fi\u006ce_url":"https://a"}"#,
            ]
        case .messages:
            parts = [
                #"{"type":"document","source":{"type":"url","url":"https://a.example/b.pdf"}}"#,
                #"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}"#,
                // A document that pretends to be a picture.
                #"{"type":"document","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}"#,
                #"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#,
                #"{"type":"image","source":{"type":"file","file_id":"file_1"}}"#,
                #"{"type":"image","source":{"type":"base64","media_type":"application/pdf","data":"iVBOR"}}"#,
                #"{"type":"container_upload","file_id":"file_1"}"#,
                #"{"type":"web_search_tool_result","tool_use_id":"t","content":[{"type":"web_search_result","encrypted_content":"x"}]}"#,
                #"{"type":"tool_result","tool_use_id":"t","content":[{"type":"document","source":{"type":"url","url":"https://a"}}]}"#,
                #"{"type":"document","s\u006furce":{"type":"url","url":"https://a"}}"#,
            ]
        default:
            parts = [
                #"{"fileData":{"mimeType":"image/png","fileUri":"https://a.example/video"}}"#, #"{"file_data":{"file_uri":"gs://a/b"}}"#,
                #"{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}"#,
                #"{"inlineData":{"mimeType":"application/pdf","data":"JVBERi0="}}"#,
                "{\"inlineData\":{\"mimeType\":\"audio/flac\",\"data\":\"\(flac)\"}}",
                "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"\(ogg)\"}}",
                #"{"file\u0044ata":{"fileUri":"gs://a"}}"#,
                #"{"functionResponse":{"name":"f","response":{},"parts":[{"fileData":{"fileUri":"gs://a"}}]}}"#,
            ]
        }
        return parts.map(open)
    }

    // MARK: Top-level members

    static func openMembers(_ endpoint: Endpoint) -> [Piece] {
        let members: [String]
        switch endpoint {
        case .chat:
            members = [
                #""plugins":[{"id":"web"}]"#, #""web_search_options":{}"#, #""tools":[{"type":"web_search"}]"#,
                #""tools":[{"type":"function","type":"web_search"}]"#, #""tools":[{"t\u0079pe":"web_search"}]"#, #""video":"https://a""#,
                #""prediction":{"type":"content","content":"a"}"#, #""modalities":["image"]"#, #""enable_search":true"#, #""x":1"#,
                #""extra_body":{"google":{"cached_content":"cachedContents/1"}}"#, #""extra_body":{"plugins":[{"id":"web"}]}"#,
            ]
        case .responses:
            members = [
                #""input":[{"type":"reasoning","id":"rs_1","summary":[]}]"#, #""previous_response_id":"resp_1""#,
                #""conversation":{"id":"conv_1"}"#, #""prompt":{"id":"pmpt_1"}"#,
                #""tools":[{"type":"web_search"}]"#, #""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
                #""tools":[{"type":"mcp","server_url":"https://a"}]"#, #""background":true"#, #""previous\u005fresponse_id":"resp_1""#,
            ]
        case .messages:
            members = [
                #""container":"c""#, #""mcp_servers":[{"type":"url","url":"https://a"}]"#, #""speed":"fast""#, #""inference_geo":"us""#,
                #""tools":[{"type":"web_search_20250305","name":"web_search"}]"#,
                #""tools":[{"type":"code_execution_20250825","name":"c"}]"#,
                #""cached":"x""#,
            ]
        default:
            members = [
                #""cachedContent":"cachedContents/1""#, #""cached_content":"cachedContents/1""#, #""tools":[{"googleSearch":{}}]"#,
                #""tools":[{"functionDeclarations":[],"codeExecution":{}}]"#, #""generationConfig":{"responseModalities":["IMAGE"]}"#,
                #""cached\u0043ontent":"cachedContents/1""#,
            ]
        }
        return members.map(open)
    }

    static func goodMembers(_ endpoint: Endpoint, text: Piece) -> [Piece] {
        let schema = "{\"type\":\"object\",\"properties\":{\"url\":{\"type\":\"string\",\"description\":\(text.json)}}}"
        let tools: String
        switch endpoint {
        case .chat: tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":\(schema)}}]"
        case .responses: tools = "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":\(schema)}]"
        case .messages: tools = "\"tools\":[{\"name\":\"f\",\"input_schema\":\(schema)},{\"type\":\"bash_20250124\",\"name\":\"bash\"}]"
        default: tools = "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":\(schema)}]}]"
        }
        // Anthropic adds up to 735 tokens for tools and 245 for a shell.
        return [Piece(json: tools, tokens: text.tokens + 80 + (endpoint == .messages ? 980 : 0))]
    }
}
