import Adaptors
import Config
import GatewayState
import NIOCore
import RouterCore

/// The state that a Responses request is concerned with beyond its own life: what it continues, and whether its answer is kept.
final class ResponseState: Sendable {
    let keeper: ResponseKeeper
    /// The answer is kept.
    let isKept: Bool
    /// Vendors that keep responses may keep this one. Strict admission could not bound what continues it.
    let vendorsKeep: Bool
    /// The answer comes at once, and the response is made behind it.
    let isBackground: Bool
    let previousResponseID: String?
    /// The conversation that the request continues, as it was.
    let conversation: StoredResponse?
    /// Where the response is that the request continues, when its vendor keeps it.
    let pin: RoutePin?
    /// Tokens that the vendor reads besides those in the request.
    let carriedTokens: Int64
    /// The items of earlier turns.
    private let earlier: [JSONValue]
    /// The `input` of the request, as it came; nil = it has none, or the vendor has what comes before it.
    private let input: ByteBuffer?
    /// Makes the ids of its items unique.
    private let base: String

    init(
        keeper: ResponseKeeper, isKept: Bool, vendorsKeep: Bool, isBackground: Bool = false, previousResponseID: String? = nil,
        conversation: StoredResponse? = nil, pin: RoutePin? = nil, carriedTokens: Int64 = 0, earlier: [JSONValue] = [],
        input: ByteBuffer? = nil, base: String = ""
    ) {
        self.keeper = keeper
        self.isKept = isKept
        self.vendorsKeep = vendorsKeep
        self.isBackground = isBackground
        self.previousResponseID = previousResponseID
        self.conversation = conversation
        self.pin = pin
        self.carriedTokens = carriedTokens
        self.earlier = earlier
        self.input = input
        self.base = base
    }

    /// The same with an answer that the gateway keeps, whatever the vendor.
    func keptHere() -> ResponseState {
        ResponseState(
            keeper: keeper, isKept: isKept, vendorsKeep: false, isBackground: isBackground, previousResponseID: previousResponseID,
            conversation: conversation, pin: pin, carriedTokens: carriedTokens, earlier: earlier, input: input, base: base)
    }

    /// All input as it is listed later. Not made before it is needed: a vendor may turn out to keep it itself.
    func items() -> [JSONValue] {
        earlier + ResponseItems.listed(input.flatMap { try? JSONValue(parsing: $0) }, base: base)
    }

    /// The same as a JSON array.
    func itemBytes() -> [UInt8] { Array(ResponseItems.bytes(items()).readableBytesView) }

    /// Whether the vendor of a channel keeps the answer itself.
    func isHeldByVendor(_ channel: RouterCore.Channel) -> Bool { vendorsKeep && channel.provider.holdsResponses }

    /// The state that the answer of a channel tells of; nil when the gateway does not keep it.
    func kept(_ channel: RouterCore.Channel) -> KeptAnswer? {
        guard isKept, !isHeldByVendor(channel) else { return nil }
        return KeptAnswer(previousResponseID: previousResponseID, conversationID: conversation?.key.id)
    }
}

/// The end of an answer, as far as stored responses need it.
enum AnsweredResponse {
    case whole(ByteBuffer)
    /// The last event of a stream.
    case lastEvent(ByteBuffer)
    /// The stream broke.
    case nothing
}

/// The end of a background response, ready to take the place of its beginning.
struct MadeResponse: Sendable {
    let keeper: ResponseKeeper
    let settings: GatewayConfiguration.Responses
    let beginning: StoredResponse
    var end: StoredResponse
    /// Takes the place where there is no room for the end.
    var full: StoredResponse?
    /// The conversation with the response in it, and as it was.
    var conversation: (grown: StoredResponse, old: StoredResponse)?

    /// Never waits, reads nothing and never fails.
    func keep() {
        if keeper.keep(end, replacing: beginning, settings) {
            if let conversation { keeper.keep(conversation.grown, replacing: conversation.old, settings) }
        } else if let full {
            keeper.keep(full, replacing: beginning, settings)
        }
    }
}

extension Settlement {
    /// Remembers the answer, before its last byte is sent: who continues it at once finds it. Never waits and never fails.
    func keepResponse(_ answer: AnsweredResponse) {
        guard let response = admission.planned.state else { return }
        guard response.isKept || response.conversation != nil else { return }
        let state = snapshot
        guard let candidate = state.candidate else { return }
        keep(answer, response, candidate.route, state.progress)
    }

    @inline(never)
    private func keep(_ answer: AnsweredResponse, _ state: ResponseState, _ route: RouteCandidate, _ progress: AnswerProgress) {
        let accepted = admission.accepted
        let settings = accepted.snapshot.configuration.responses
        let isHeldByVendor = state.isHeldByVendor(route.channel)
        var stored = StoredResponse(
            key: .init(userID: accepted.principal.userID, id: progress.generationID ?? ""), holder: isHeldByVendor ? .vendor : .gateway,
            model: route.model, upstreamModel: route.upstreamModel, channelID: route.channel.id,
            keyFingerprint: route.key.map { KeyHash(of: $0.reveal()).fingerprint } ?? "",
            contextTokens: progress.usage.map { $0.promptTokens + $0.completionTokens } ?? 0, createdAt: accepted.createdAt,
            expiresAt: accepted.createdAt + settings.keep.components.seconds)
        let tree = isHeldByVendor && state.conversation == nil ? nil : Self.response(answer)
        if let tree, let old = state.conversation { state.keeper.keep(grown(tree, old, state, settings), replacing: old, settings) }
        guard state.isKept else { return }
        if !isHeldByVendor {
            guard let tree, let id = tree["id"]?.stringValue else { return }
            stored.key.id = id
            stored.items = state.itemBytes()
            stored.body = Array(Self.shown(tree, state).text.utf8)
        }
        guard ResponseStateFields.isID(stored.key.id) else { return }
        state.keeper.keep(stored, settings)
    }

    private static func response(_ answer: AnsweredResponse) -> JSONValue? {
        switch answer {
        case .whole(let body): try? JSONValue(parsing: body)
        case .lastEvent(let event): ResponseItems.response(inEvent: event)
        case .nothing: nil
        }
    }

    /// Replaces the beginning of a background response. Where there is no room for its end, the response has failed.
    func made(_ answer: AnsweredResponse, _ state: ResponseState, replacing beginning: StoredResponse) -> MadeResponse {
        let settings = admission.accepted.snapshot.configuration.responses
        guard let tree = Self.response(answer) else {
            return MadeResponse(
                keeper: state.keeper, settings: settings, beginning: beginning,
                end: beginning.failed("The upstream's answer could not be read."))
        }
        var stored = beginning
        let known = snapshot
        if let route = known.candidate?.route {
            stored.model = route.model
            stored.upstreamModel = route.upstreamModel
            stored.channelID = route.channel.id
        }
        stored.contextTokens = known.progress.usage.map { $0.promptTokens + $0.completionTokens } ?? 0
        stored.maker = nil
        let own: [JSONValue.Member] = [.init("id", .string(beginning.key.id)), .init("background", true)]
        stored.body = Array(ResponseItems.setting(own, in: Self.shown(tree, state)).text.utf8)
        return MadeResponse(
            keeper: state.keeper, settings: settings, beginning: beginning, end: stored,
            full: beginning.failed("There is no room in the store for the answer (responses.max_bytes_per_user)."),
            conversation: state.conversation.map { (grown(tree, $0, state, settings), $0) })
    }

    /// The vendor did not know that the answer is kept, nor what it continues.
    private static func shown(_ response: JSONValue, _ state: ResponseState) -> JSONValue {
        var changes: [JSONValue.Member] = [.init("store", true)]
        if let id = state.previousResponseID { changes.append(.init("previous_response_id", .string(id))) }
        if let id = state.conversation?.key.id { changes.append(.init("conversation", ["id": .string(id)])) }
        return ResponseItems.setting(changes, in: response)
    }

    /// The conversation has the input and the answer in it from now on.
    private func grown(
        _ response: JSONValue, _ conversation: StoredResponse, _ state: ResponseState, _ settings: GatewayConfiguration.Responses
    ) -> StoredResponse {
        var grown = conversation
        let items = state.items() + (response["output"]?.arrayValue ?? [])
        grown.items = Array(ResponseItems.bytes(items).readableBytesView)
        grown.expiresAt = admission.accepted.createdAt + settings.keep.components.seconds
        return grown
    }
}
