import HTTPTypes
import RouterCore

/// What a vendor's Content-Type may become towards the client: a vendor must not make a browser run what it sends.
struct AnswerType {
    private let essence: String

    init(_ head: UpstreamHead) {
        let value = head.headers[.contentType] ?? ""
        essence = String(value.prefix { $0 != ";" && $0 != " " }).lowercased()
    }

    var isJSON: Bool { essence == "application/json" }

    /// Sound.
    var ofSound: String { essence.hasPrefix("audio/") ? essence : "application/octet-stream" }

    /// A transcription that may be no JSON; nil = JSON.
    var ofText: String? {
        switch essence {
        case "text/plain", "text/vtt": essence + "; charset=utf-8"
        case "application/x-subrip": essence
        default: nil
        }
    }
}
