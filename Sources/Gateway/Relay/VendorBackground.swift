import Config
import GatewayState
import HTTPTypes
import Logging
import Metering
import NIOCore
import Platform
import RouterCore

/// Starts background responses at vendors that make them. The hold is one of the ledger (docs/decisions/0014-long-lived-holds.md), and its
/// owner asks the vendor until the response is over; the gateway may die meanwhile.
struct VendorBackground: Sendable {
    let admit: Admit
    let attempts: AttemptServices
    let meter: Meter
    let keeper: ResponseKeeper
    let places: BackgroundPlaces

    /// How long the vendor has to answer that it has begun, from the making of the hold on. Its answer comes before the hold's owner looks
    /// for the response.
    private static let creationLimit = Duration.seconds(60)
    /// The rest of that time that the vendor must still have when it is asked.
    private static let leastTime = Duration.seconds(30)
    /// Between that time and the look of the hold's owner.
    private static let margin = Duration.seconds(5)
    /// Seconds until a response is settled by what is known.
    private static let deadline: Int64 = 86_400
    /// Bytes of the answer, which repeats instructions and tools.
    private static let maximumBytes = 64 << 20

    func start(
        _ accepted: Accepted, _ question: PlannedRequest, _ state: ResponseState, _ pass: LimitPass?
    ) async throws -> ClientAnswer {
        let reserved = try await reserve(accepted, question, pass)
        let (admission, candidate, hold) = (reserved.admission, reserved.candidate, reserved.hold)
        let begun: (call: UpstreamCall, body: ByteBuffer, dropped: [String])
        do throws(UpstreamFailure) {
            begun = try await ask(admission, candidate, until: hold.nextAt - Self.margin.components.seconds)
        } catch {
            return try await refuse(error, hold, admission, candidate, reserved.ticket)
        }
        let channel = candidate.route.channel
        attempts.health.ended(reserved.ticket, .completed, tokens: admission.envelope.prompt.tokens)
        attempts.metrics.attempt(channelID: channel.id, result: "ok", isLastResort: reserved.ticket.isLastResort)
        try await keep(begun.body, hold, admission, candidate)
        let shown = try? accepted.snapshot.provider(of: channel)?.decode(begun.body, for: begun.call).body
        return ClientAnswer(
            status: .ok, headers: Background.headers(admission, pass, begun.dropped), bytes: shown ?? begun.body)
    }

    // MARK: The hold

    private struct Reserved {
        var admission: Admission
        var candidate: PricedCandidate
        var ticket: AttemptTicket
        var hold: LongHold
    }

    /// Chooses the channel and makes the hold. From then on the ledger counts the response, and the pass lasts as long as the hold.
    private func reserve(_ accepted: Accepted, _ question: PlannedRequest, _ pass: LimitPass?) async throws -> Reserved {
        let place = StoredResponse.Key(userID: accepted.principal.userID, id: "resp_\(accepted.requestID)")
        try await places.take(place, accepted, pass)
        defer { keeper.running.end(place) }
        let admission = try admit.estimate(accepted, question)
        var sequence = AttemptSequence(
            candidates: admission.candidates.map(\.route), policy: admission.planned.policy,
            deadline: accepted.receivedAt.advanced(by: admission.planned.policy.timeouts.total), tokens: admission.planned.tokens)
        attempts.health.requestBegan()
        guard case .attempt(let position, let route, let ticket) = attempts.health.step(&sequence) else {
            throw RelayErrors.error(.nothingTried)
        }
        let candidate = admission.candidates[position].with(route)
        do {
            let metering = accepted.snapshot.configuration.metering
            let hold = try await meter.holdLong(
                hold(admission, candidate), floor: metering.overdraftFloor, limits: accepted.principal.budgets, wait: metering.balanceWait,
                firstLook: Self.creationLimit + Self.margin)
            if let pass {
                let tokens = admission.envelope.prompt.tokens
                if meter.isOff { pass.end(used: tokens) } else { meter.passes.keep(pass, of: hold.requestID, tokens: tokens) }
            }
            return Reserved(admission: admission, candidate: candidate, ticket: ticket, hold: hold)
        } catch {
            attempts.health.ended(ticket, .released, tokens: 0)
            throw Admit.refusal(error, at: accepted.createdAt)
        }
    }

    private func hold(_ admission: Admission, _ candidate: PricedCandidate) -> LongHold {
        let accepted = admission.accepted
        let estimate = admission.hold
        let route = candidate.route
        // The tier is the one that was asked for, until the vendor says which one it was.
        let detail: [JSONValue.Member] = [
            .init("prompt_tokens", .integer(admission.envelope.prompt.tokens)), .init("tier", .optional(candidate.quote.askedTier)),
            .init("searches", .integer(candidate.quote.leastSearches)), .init("covers_cost", .boolean(candidate.quote.coversReportedCost)),
        ]
        return LongHold(
            requestID: accepted.requestID, kind: .response, userID: estimate.userID, tokenID: estimate.tokenID,
            channelID: route.channel.id, keyMark: route.key.map { KeyHash(of: $0.reveal()).fingerprint } ?? "",
            provider: route.channel.provider.name, model: route.model, upstreamModel: route.upstreamModel, endpoint: accepted.endpoint,
            amount: estimate.amount, ratio: candidate.quote.ratio, pricingVersion: candidate.quote.version,
            detail: JSONValue.object(detail).text, clientIP: accepted.clientIP,
            nextAt: accepted.createdAt, deadline: accepted.createdAt + Self.deadline, createdAt: accepted.createdAt,
            accountID: estimate.accountID)
    }

    // MARK: The call

    /// - Parameter end: Unix seconds, when the vendor must have answered.
    private func ask(
        _ admission: Admission, _ candidate: PricedCandidate, until end: Int64
    ) async throws(UpstreamFailure) -> (call: UpstreamCall, body: ByteBuffer, dropped: [String]) {
        let accepted = admission.accepted
        let channel = candidate.route.channel
        guard let provider = accepted.snapshot.provider(of: channel) else {
            throw UpstreamFailure(source: .gateway, kind: .server, detail: "no adaptor for the channel")
        }
        var call = UpstreamCall(
            envelope: admission.envelope, channel: candidate.route.shared, key: candidate.route.key, model: candidate.route.model,
            upstreamModel: candidate.route.upstreamModel, quote: candidate.quote, startedAt: accepted.createdAt)
        call.answerID = accepted.requestID.description
        call.isBackground = true
        let request = try provider.request(for: call)
        let left = Duration.seconds(end - attempts.clock.unixSeconds)
        guard left >= Self.leastTime else {
            // The ledger took so long that the hold's owner may come before the vendor's answer.
            throw UpstreamFailure(source: .gateway, kind: .server, detail: "the hold was made too slowly to begin a response")
        }
        var timeouts = candidate.route.timeouts
        timeouts.total = min(timeouts.total, left)
        timeouts.firstByte = min(timeouts.firstByte, left)
        let head: UpstreamHead
        var body = ByteBuffer()
        do throws(TransportFailure) {
            let options = TransportOptions(
                timeouts: timeouts, proxy: channel.proxy, needsNewConnection: candidate.route.needsNewConnection)
            let response = try await attempts.transport.send(request, options: options, cancellation: UpstreamCancellation())
            head = response.head
            while body.readableBytes < Self.maximumBytes, let chunk = try await response.body.next() { body.writeImmutableBuffer(chunk) }
        } catch {
            throw UpstreamFailure(transport: error)
        }
        guard (200..<300).contains(head.status) else {
            var failure = provider.classify(head, body: body, now: attempts.clock.unixSeconds)
            failure.status = head.status
            throw failure
        }
        guard let id = (try? JSONValue(parsing: body))?["id"]?.stringValue, ResponseStateFields.isID(id) else {
            throw UpstreamFailure(kind: .malformed, detail: "the vendor gave the response no usable id")
        }
        return (call, body, request.droppedFields)
    }

    private func refuse(
        _ failure: UpstreamFailure, _ hold: LongHold, _ admission: Admission, _ candidate: PricedCandidate, _ ticket: AttemptTicket
    ) async throws -> ClientAnswer {
        let counts = failure.source == .upstream && failure.kind.blame != .nobody
        attempts.health.ended(ticket, counts ? .failed(failure) : .released, tokens: 0)
        attempts.metrics.attempt(
            channelID: candidate.route.channel.id, result: failure.kind.rawValue, isLastResort: ticket.isLastResort)
        attempts.logger.info(
            "a background response was not begun",
            metadata: [
                "request_id": "\(hold.requestID)", "channel": "\(candidate.route.channel.name)", "kind": "\(failure.kind.rawValue)",
                "status": "\(failure.status ?? 0)", "detail": "\(failure.detail)",
            ])
        // Where the vendor may have begun all the same, the hold's owner finds that nobody knows of the response, and voids the hold.
        if failure.hasBegunNothing {
            var record = hold.voidRecord(errorCode: failure.kind.rawValue, now: attempts.clock.unixSeconds)
            record.status = failure.status ?? 502
            _ = try await meter.endLong(record)
        }
        return RelayErrors.answer(failure, to: admission.accepted.request)
    }

    // MARK: What is known of it

    private func keep(_ body: ByteBuffer, _ hold: LongHold, _ admission: Admission, _ candidate: PricedCandidate) async throws {
        let tree = try? JSONValue(parsing: body)
        guard let id = tree?["id"]?.stringValue else { throw APIError.internalError() }
        let settings = admission.accepted.snapshot.configuration.responses
        let now = attempts.clock.unixSeconds
        let next = BackgroundStatus.isFinal(tree) ? now : now + max(1, settings.pollInterval.components.seconds)
        let isBound: Bool
        do {
            isBound = try await meter.bindLong(hold.requestID, objectID: id, nextAt: next)
        } catch {
            attempts.logger.error(
                "a background response was begun, and its hold could not be told its id",
                metadata: ["request_id": "\(hold.requestID)", "response": "\(id)", "error": "\(error)"])
            throw error
        }
        guard isBound else {
            attempts.logger.error("a background response was begun after its hold had ended", metadata: ["response": "\(id)"])
            throw APIError.unavailable("The response was begun too late; try again.")
        }
        let stored = StoredResponse(
            key: .init(userID: hold.userID, id: id), holder: .vendor, maker: meter.isOff ? nil : .vendor(hold.requestID),
            model: hold.model, upstreamModel: hold.upstreamModel, channelID: hold.channelID, keyFingerprint: hold.keyMark,
            createdAt: hold.createdAt, expiresAt: hold.createdAt + settings.keep.components.seconds)
        if case .kept = await keeper.keepNow(stored, settings) { return }
        attempts.logger.error(
            "a background response was begun and could not be kept; it is settled, and nobody can ask for it",
            metadata: ["request_id": "\(hold.requestID)", "response": "\(id)"])
    }
}

extension UpstreamFailure {
    /// The vendor has not begun: it says so, or was never reached.
    fileprivate var hasBegunNothing: Bool {
        if let status { return (400..<500).contains(status) && status != 408 }
        return kind == .connect || source == .gateway && kind != .cancelled && kind != .overloaded
    }
}
