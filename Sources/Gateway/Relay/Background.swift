import Config
import GatewayState
import HTTPTypes
import Logging
import Metering
import NIOCore
import RouterCore

/// Responses that are made behind their answers (docs/responses.md): at a vendor that makes such (``VendorBackground``), before all others
/// by the gateway itself. The gateway's own are ordinary calls without a client: held, settled and recovered as these are.
final class Background: Sendable {
    private let admit: Admit
    private let attempts: AttemptServices
    private let settlements: SettlementServices
    private let keeper: ResponseKeeper
    private let relays: RelayTasks
    private let places: BackgroundPlaces
    private let vendors: VendorBackground

    init(admit: Admit, attempts: AttemptServices, settlements: SettlementServices, keeper: ResponseKeeper, relays: RelayTasks) {
        self.admit = admit
        self.attempts = attempts
        self.settlements = settlements
        self.keeper = keeper
        self.relays = relays
        places = BackgroundPlaces(meter: settlements.meter, running: keeper.running)
        vendors = VendorBackground(admit: admit, attempts: attempts, meter: settlements.meter, keeper: keeper, places: places)
    }

    /// Seconds after the deadline of a call in which its end is noted, drains included.
    private static let grace: Int64 = 120

    // MARK: Who makes it

    /// The first channel of the plan decides who makes the response; the others are asked only where they can do the same.
    static func decided(_ envelope: RequestEnvelope, _ planned: Planned, _ state: ResponseState) throws -> PlannedRequest {
        var planned = planned
        if isVendors(planned, state) {
            planned.candidates.removeAll { !$0.channel.provider.runsBackground }
            return PlannedRequest(envelope: envelope, planned: planned)
        }
        guard state.pin == nil else {
            throw APIError.badRequest(
                "'previous_response_id' is kept by a vendor that makes no background responses; send the whole input, or leave out 'background'",
                param: "background")
        }
        planned.state = state.keptHere()
        do throws(RequestEnvelope.Rejection) {
            return PlannedRequest(envelope: try envelope.streamedInForeground(), planned: planned)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    private static func isVendors(_ planned: Planned, _ state: ResponseState) -> Bool {
        state.vendorsKeep && planned.candidates.first?.channel.provider.runsBackground == true
    }

    func respond(
        _ accepted: Accepted, _ question: PlannedRequest, _ pass: LimitPass?, _ executor: LoopExecutor?, _ share: BodyShare?
    ) async throws -> ClientAnswer {
        guard let state = question.planned.state else { throw APIError.internalError() }
        if Self.isVendors(question.planned, state) { return try await vendors.start(accepted, question, state, pass) }
        return try await make(accepted, question, state, pass, executor, share)
    }

    // MARK: Made here

    private func make(
        _ accepted: Accepted, _ question: PlannedRequest, _ state: ResponseState, _ pass: LimitPass?, _ executor: LoopExecutor?,
        _ share: BodyShare?
    ) async throws -> ClientAnswer {
        let key = StoredResponse.Key(userID: accepted.principal.userID, id: "resp_\(accepted.requestID)")
        let settings = accepted.snapshot.configuration.responses
        try await places.take(key, accepted, pass)
        do {
            let presence = ClientPresence()
            let admission = try await admit.run(accepted.behind(presence), question)
            let settlement = Settlement(admission: admission, services: settlements, pass: pass)
            let beginning = beginning(key, admission, state)
            let answer = ClientAnswer(
                status: .ok, headers: Self.headers(admission, pass, settlement.droppedFields), bytes: ByteBuffer(bytes: beginning.body))
            do {
                try await keep(beginning, settings)
            } catch {
                await settlement.abandon()
                throw error
            }
            keeper.running.onStop(key) { presence.leave() }
            relays.start(on: executor) { [self] in
                defer { withExtendedLifetime(share) {} }
                await run(settlement, state, beginning)
            }
            return answer
        } catch {
            keeper.running.end(key)
            throw error
        }
    }

    static func headers(_ admission: Admission, _ pass: LimitPass?, _ dropped: [String]) -> HTTPFields {
        var headers = Relay.headers(admission, pass, dropped: dropped)
        headers[.contentType] = "application/json"
        return headers
    }

    private func keep(_ beginning: StoredResponse, _ settings: GatewayConfiguration.Responses) async throws {
        switch await keeper.keepNow(beginning, settings) {
        case .kept: return
        case .noRoom: throw APIError.responseStoreFull(settings.limits)
        case .failed: throw APIError.unavailable("The stored responses cannot be written at the moment; try again.")
        }
    }

    private func beginning(_ key: StoredResponse.Key, _ admission: Admission, _ state: ResponseState) -> StoredResponse {
        let accepted = admission.accepted
        let total = admission.planned.policy.timeouts.total.components.seconds
        var body: [JSONValue.Member] = [
            .init("id", .string(key.id)), .init("object", "response"), .init("created_at", .integer(accepted.createdAt)),
            .init("status", "in_progress"), .init("background", true), .init("error", .null), .init("incomplete_details", .null),
            .init("instructions", .null), .init("metadata", [:]), .init("model", .string(admission.envelope.model)),
            .init("output", []), .init("parallel_tool_calls", true), .init("previous_response_id", .optional(state.previousResponseID)),
            .init("store", true), .init("temperature", .null), .init("tool_choice", "auto"), .init("tools", []), .init("top_p", .null),
            .init("usage", .null),
        ]
        if let id = state.conversation?.key.id { body.append(.init("conversation", ["id": .string(id)])) }
        return StoredResponse(
            key: key, maker: .gateway(keeper.maker(deadline: accepted.createdAt + total + Self.grace)), model: admission.envelope.model,
            items: state.itemBytes(), body: Array(JSONValue.object(body).text.utf8), createdAt: accepted.createdAt,
            expiresAt: accepted.createdAt + accepted.snapshot.configuration.responses.keep.components.seconds)
    }

    /// The call itself, and its end in the books and in the store, in this order: a response that is found complete has been charged.
    private func run(_ settlement: Settlement, _ state: ResponseState, _ beginning: StoredResponse) async {
        let admission = settlement.admission
        let answer: AnsweredResponse
        do {
            switch await Attempt(services: attempts, admission: admission).run(settlement) {
            case .stream(let stream):
                let run = try BackgroundRun(stream, settlement)
                answer = .lastEvent(try await run.toTheEnd())
                await run.release()
            case .whole(let whole):
                let isGone = admission.accepted.presence.isGone
                try await settlement.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
                answer = .whole(whole.body)
            case .failed(let failure):
                let outcome: RequestRecord.Outcome = failure.source == .downstream ? .clientGone : .failed
                try await settlement.end(
                    Settlement.End(outcome: outcome, status: RelayErrors.error(failure).status.code, failure: failure))
                throw failure
            }
        } catch {
            await settlement.abandon()
            let made = failed(error, admission, beginning)
            return keeper.running.end(beginning.key) { made.keep() }
        }
        // Up to 64 MB are parsed and written here; only the handing over comes between others' looks at what runs.
        let made = settlement.made(answer, state, replacing: beginning)
        keeper.running.end(beginning.key) { made.keep() }
    }

    private func failed(_ error: any Error, _ admission: Admission, _ beginning: StoredResponse) -> MadeResponse {
        var told = APIError.internalError()
        if let failure = error as? UpstreamFailure {
            told = RelayErrors.error(failure)
        } else {
            attempts.logger.error(
                "a background response could not be ended",
                metadata: ["request_id": "\(admission.accepted.requestID)", "error": "\(error)"])
        }
        let code = told.status == .tooManyRequests ? "rate_limit_exceeded" : "server_error"
        return MadeResponse(
            keeper: keeper, settings: admission.accepted.snapshot.configuration.responses, beginning: beginning,
            end: beginning.failed(told.message, code: code))
    }
}

/// Reads a stream that no client waits for, to its end.
final class BackgroundRun {
    private let answer: StreamAnswer
    private var decoder: any StreamDecoder
    private let settlement: Settlement

    /// - Throws: when the answer has been taken already.
    init(_ answer: StreamAnswer, _ settlement: Settlement) throws {
        guard let decoder = answer.decoder.take() else { throw UpstreamFailure.nothingTried }
        self.answer = answer
        self.decoder = decoder
        self.settlement = settlement
    }

    /// - Returns: the last event, when the books have the end.
    /// - Throws: ``UpstreamFailure`` when the stream broke or was cancelled, or what the books throw.
    func toTheEnd() async throws -> ByteBuffer {
        let failure = await pump()
        let progress = decoder.progress
        settlement.update { $0.take(progress) }
        let isGone = settlement.admission.accepted.presence.isGone
        guard let failure else {
            settlement.endAttempt(.completed)
            try await settlement.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
            return decoder.trailer
        }
        if let channel = settlement.snapshot.candidate?.route.channel {
            settlement.services.metrics.attempt(channelID: channel.id, result: failure.kind.rawValue)
        }
        settlement.endAttempt(failure.source == .upstream ? .failed(failure) : .released)
        try await settlement.end(Settlement.End(outcome: isGone ? .clientGone : .truncated, status: 200, failure: failure))
        throw failure
    }

    /// The decoder's bytes are thrown away: the last event has the whole answer.
    private func pump() async -> UpstreamFailure? {
        if let failure = answer.failure { return failure }
        if answer.hasEnded { return nil }
        do throws(UpstreamFailure) {
            while !decoder.isDone {
                var out = ByteBuffer()
                guard let bytes = try await next() else {
                    try decoder.finish(into: &out)
                    return nil
                }
                try decoder.push(bytes, into: &out)
                settlement.delivered(decoder.progress)
                if bytes.readableBytes >= UpstreamPortion.maximumBytes { await Task.yield() }
            }
            return nil
        } catch {
            answer.body.cancel()
            return error
        }
    }

    private func next() async throws(UpstreamFailure) -> ByteBuffer? {
        do throws(TransportFailure) {
            return try await answer.body.next()
        } catch {
            var failure = UpstreamFailure(transport: error, clientGone: settlement.admission.accepted.presence.isGone)
            if error.kind == .totalTimeout { failure.source = .gateway }
            throw failure
        }
    }

    /// The rest of the body is read, so that the connection can be used again; for a second at most.
    func release() async {
        let body = answer.body
        let timer = settlement.admission.accepted.eventLoop.scheduleTask(in: .seconds(1)) { body.cancel() }
        defer { timer.cancel() }
        while let bytes = try? await body.next(), bytes.readableBytes >= 0 {}
    }
}
