import HTTPTypes
import RouterCore

/// The published table "failure → next candidate / cools what, how long / client sees", made from the same code that decides.
/// docs/routing.md holds a copy between two marks, and a test compares them.
enum FailureTable {
    static var markdown: String {
        var lines = [
            "| failure | seen as | next | same channel again, if nobody is left | cools | after | for "
                + "| asked while it cools, if nobody is well | client sees, if nobody is left |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for kind in FailureKind.allCases {
            let cells = [
                "`\(kind.rawValue)`", seenAs(kind), next(kind), kind.mayRetrySame ? "once, after a short wait" : "no", cools(kind),
                after(kind), howLong(kind), whileCooling(kind), clientSees(kind),
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func seenAs(_ kind: FailureKind) -> String {
        switch kind {
        case .connect: "name look-up, TCP, TLS or proxy failed, connect timeout"
        case .connectionReset:
            "reset or closed before the response head (on a new connection; for a kept one, see above)"
        case .timeout: "no head, no content or no event in time; 408, 504, 524"
        case .rateLimit: "429"
        case .server: "other 5xx, 409, 425, an error inside a 200"
        case .overloaded: "503, 529"
        case .credentialRefused: "401, 403"
        case .credentialExhausted: "402, 429 with `insufficient_quota`"
        case .unaffordable: "402 that asks for fewer `max_tokens`"
        case .modelUnavailable: "404, 403 with `invalid_request_error`, a code that says that the model is not there"
        case .invalidRequest: "400, 413, 422 and other 4xx"
        case .contextLength: "400 with `context_length_exceeded`"
        case .contentFilter: "400 with `content_filter` and the like, moderation"
        case .malformed: "not HTTP, not JSON, a redirect, a stream that ends without content"
        case .truncated: "the stream ended early, after content"
        case .midStream: "an error inside the stream, after content"
        case .cancelled: "the client left, or the gateway shuts down"
        }
    }

    private static func next(_ kind: FailureKind) -> String {
        switch kind.next {
        case .no: "—"
        case .otherModel: "the client's other `models`"
        case .otherChannel: "the next channel"
        case .otherKey: "another key of the channel, else the next channel"
        case .sameChannel: "the same channel, on a new connection"
        }
    }

    private static func cools(_ kind: FailureKind) -> String {
        switch kind.blame {
        case .nobody: "—"
        case .host: "the channel"
        case .endpoint: "key + model"
        case .quota: "key + model; account + model where keys share one"
        case .account: "key, all models; the account where keys share one"
        case .credential: "key, all models"
        case .model: "model, all keys of the channel"
        }
    }

    private static func after(_ kind: FailureKind) -> String {
        guard kind.blame != .nobody else { return "—" }
        let count = CoolDown.failuresToOpen(kind)
        let window = CoolDown.seriesWindow.components.seconds
        return count == 1 ? "the first" : "\(count) in a row, each within \(window) s of the last"
    }

    private static func howLong(_ kind: FailureKind) -> String {
        guard kind.blame != .nobody else { return "—" }
        return CoolDown.isSlow(kind) ? "`cooldown.max`" : "`Retry-After`, else `cooldown.base`, doubled each time up to `cooldown.max`"
    }

    private static func whileCooling(_ kind: FailureKind) -> String {
        guard kind.blame != .nobody else { return "—" }
        guard kind.isPassing else { return "no" }
        let perSecond = Int(Duration.seconds(1) / CoolDown.lastResortInterval)
        return "one at a time, and one more for each second that it hangs; at most \(perSecond) a second; not before a `Retry-After`"
    }

    private static func clientSees(_ kind: FailureKind) -> String {
        switch kind {
        case .truncated, .midStream: return "an `error` event, the connection closed, no `[DONE]`"
        case .cancelled: return "nothing: it has left"
        case .invalidRequest, .contextLength, .contentFilter: return "the vendor's status and error"
        default:
            let error = RelayErrors.apiError(UpstreamFailure(kind: kind))
            let retryAfter = error.headers[.retryAfter] != nil ? ", `Retry-After`" : ""
            return "\(error.status.code) `\(error.type)`\(retryAfter)"
        }
    }
}
