import HTTPTypes
import RouterCore

/// Restricts a vendor's Content-Type before it reaches the client: a vendor must not be able to make a browser execute its answer.
struct AnswerType {
    private let essence: String

    init(_ head: UpstreamHead) {
        let value = head.headers[.contentType] ?? ""
        essence = String(value.prefix { $0 != ";" && $0 != " " }).lowercased()
    }

    var isJSON: Bool { essence == "application/json" }

    /// The type of an audio answer.
    var ofSound: String { essence.hasPrefix("audio/") ? essence : "application/octet-stream" }

    /// The type of a transcription in a format other than JSON; nil = JSON.
    var ofText: String? {
        switch essence {
        case "text/plain", "text/vtt": essence + "; charset=utf-8"
        case "application/x-subrip": essence
        default: nil
        }
    }
}
