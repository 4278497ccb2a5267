import Config
import GatewayState
import Logging
import Metering
import Platform
import RouterCore
import Synchronization

/// Step 7: the only end of a hold. Created right after admission; every path calls ``end(_:)`` once, and a second call has no effect. If
/// the request is dropped without an end (a response that was never written), the deinit hands it to the ``Settler``, which owns that work.
final class Settlement: Sendable {
    /// The present knowledge about the request; sufficient to settle it at any moment.
    struct State: Sendable {
        var candidate: PricedCandidate?
        var progress = AnswerProgress()
        fileprivate(set) var attempts: [AttemptRecord] = []
        /// Ticket of the current attempt; taken when the attempt ends, so that it ends once.
        fileprivate var ticket: AttemptTicket?
        /// Start of the current attempt, or of the last one.
        fileprivate(set) var attemptStartedAt: MonotonicInstant?
        /// The client left before content, and the vendor may bill what it had received.
        fileprivate(set) var isOwed = false
        /// The final value of ``Leaving/isCutShort``.
        fileprivate(set) var isCutShort = false
        /// Content has arrived from the upstream, so the vendor has done work for this request.
        var isCommitted = false
        var firstContentAt: MonotonicInstant?
        var upstreamWait = Duration.zero
        /// The fields that a conversion has left out of the request for the current attempt, or the last one.
        var droppedFields: [String] = []
        /// The id in the answer's body, where the vendor's header has another one.
        private(set) var answerID: String?
        fileprivate(set) var hasEnded = false
        /// When the request's progress was last written to the journal.
        fileprivate var notedAt: MonotonicInstant?

        /// Takes what a decoder knows of the answer; the generation id of the vendor's header stays.
        mutating func take(_ progress: AnswerProgress) {
            let generationID = self.progress.generationID
            self.progress = progress
            guard let generationID else { return }
            self.progress.generationID = generationID
            if let id = progress.generationID, id != generationID { answerID = id }
        }

        fileprivate mutating func begin(_ candidate: PricedCandidate, _ ticket: AttemptTicket) {
            self.candidate = candidate
            progress = AnswerProgress()
            self.ticket = ticket
            attemptStartedAt = ticket.startedAt
            droppedFields = []
            answerID = nil
        }
    }

    /// How often the progress of a running stream is written to the journal, and the delay before the first time: most streams are over by
    /// then.
    private static let progressInterval = Duration.seconds(1)
    private static let firstProgress = Duration.milliseconds(250)

    /// The end of a request, as the relay observed it.
    struct End: Sendable {
        var outcome: RequestRecord.Outcome
        /// The status that the client saw.
        var status: Int
        var failure: UpstreamFailure?
    }

    /// The request's pass from the limits of its key and user; nil = there are no limits.
    let pass: LimitPass?
    let admission: Admission
    let services: SettlementServices
    let leaving: Leaving
    private let state = Mutex(State())

    init(admission: Admission, services: SettlementServices, pass: LimitPass? = nil) {
        self.pass = pass
        self.admission = admission
        self.services = services
        leaving = Leaving(admission, services)
        leaving.watch()
    }

    deinit {
        leaving.over()
        var state = state.withLock { $0 }
        state.isCutShort = leaving.isCutShort
        guard !state.hasEnded else { return }
        // A stream that was never read is released without a verdict on the channel.
        if let ticket = state.ticket { services.health.ended(ticket, .released, tokens: state.isCommitted ? nil : 0) }
        let record = Settlement.record(admission, state, abandonedEnd(state), services)
        pass?.end(used: record.usage.promptTokens + record.usage.completionTokens)
        services.settler.take(record)
    }

    func update(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

    var snapshot: State { state.withLock { $0 } }
    var droppedFields: [String] { state.withLock { $0.droppedFields } }

    // MARK: Attempts

    func begin(_ candidate: PricedCandidate, _ ticket: AttemptTicket) {
        state.withLock { $0.begin(candidate, ticket) }
        leaving.begin(candidate)
    }

    /// The attempt failed before content: records it and reports it to the health table.
    func fail(_ failure: UpstreamFailure) {
        let now = services.clock.monotonic
        let isOwed = leaving.owes(for: failure)
        let (ticket, usageOfFailure) = state.withLock { state -> (AttemptTicket?, Int64?) in
            guard let ticket = state.ticket else { return (nil, nil) }
            state.isOwed = isOwed
            let usage = state.progress.usage
            // A client that owes it pays it as the usage of the request itself.
            let cost = isOwed ? nil : usage.flatMap { Self.cost(of: $0, state.candidate, admission, isAnswer: false) }
            state.attempts.append(
                AttemptRecord(
                    channelID: ticket.target.channelID, upstreamModel: ticket.target.model, status: failure.status,
                    kind: failure.kind, milliseconds: Self.milliseconds(ticket.startedAt, now),
                    billedTokens: usage.map { $0.promptTokens + $0.completionTokens },
                    upstreamCost: usage?.upstreamCost?.roundedToNano, cost: cost))
            state.ticket = nil
            return (ticket, usage.map { $0.promptTokens + $0.completionTokens })
        }
        guard let ticket else { return }
        let counts = failure.source == .upstream && failure.kind.blame != .nobody
        // Without an answer, none of the channel's tokens were used.
        services.health.ended(ticket, counts ? .failed(failure) : .released, tokens: usageOfFailure ?? 0)
    }

    /// Content has arrived (a whole answer, or the first of a stream): from here on the request is charged.
    func commit(_ progress: AnswerProgress) {
        let now = services.clock.monotonic
        let ticket = state.withLock { state in
            state.take(progress)
            state.isCommitted = true
            state.firstContentAt = now
            if let ticket = state.ticket {
                state.attempts.append(
                    AttemptRecord(
                        channelID: ticket.target.channelID, upstreamModel: ticket.target.model, status: 200,
                        milliseconds: Self.milliseconds(ticket.startedAt, now)))
            }
            return state.ticket
        }
        if let ticket { services.health.delivered(ticket) }
    }

    /// The vendor's head has arrived with its generation id, which has to survive a crash.
    func generation(_ id: String) {
        let progress = state.withLock { state in
            state.progress.generationID = id
            return state.progress
        }
        noteProgress(progress)
    }

    /// Writes to the journal what the request would be charged if it ended now.
    func delivered(_ progress: @autoclosure () -> AnswerProgress) {
        let now = services.clock.monotonic
        let isDue = state.withLock { state in
            if let last = state.notedAt { return last.duration(to: now) >= Self.progressInterval }
            return state.firstContentAt.map { $0.duration(to: now) >= Self.firstProgress } ?? false
        }
        if isDue { noteProgress(progress()) }
    }

    private func noteProgress(_ progress: AnswerProgress) {
        let now = services.clock.monotonic
        let state = state.withLock { state in
            state.notedAt = now
            return state
        }
        guard let candidate = state.candidate else { return }
        let quote = admission.quote(candidate)
        var usage = admission.envelope.settledUsage(progress, price: quote.price).usage
        var charge = try? quote.charge(for: usage)
        // The hidden reasoning can be estimated from the first content on.
        if state.isCommitted, let thinking = Self.thinking(state, progress, admission, services, now: now),
            let more = try? quote.bill(
                for: usage, with: thinking, seen: progress.deliveredThoughts, hold: admission.hold.amount)
        {
            usage = more.usage
            charge = more.bill.charge
        }
        services.meter.progress(
            ProgressRecord(
                requestID: admission.accepted.requestID, channelID: candidate.route.channel.id,
                provider: candidate.route.channel.provider.name, model: candidate.route.model,
                upstreamModel: candidate.route.upstreamModel,
                generationID: state.progress.generationID ?? progress.generationID, promptTokens: usage.promptTokens,
                completionTokens: usage.completionTokens,
                charge: charge ?? admission.hold.amount, pricingVersion: quote.version,
                cost: Self.cost(of: usage, candidate, admission).map { state.attempts.costOfFailures?.adding($0) ?? $0 }?.amount))
    }

    /// The attempt that delivered content is over. Has no effect the second time.
    func endAttempt(_ end: AttemptEnd) {
        let now = services.clock.monotonic
        let (ticket, state) = state.withLock { state in
            let ticket = state.ticket
            state.ticket = nil
            if case .failed(let failure) = end, ticket != nil, let last = state.attempts.indices.last {
                state.attempts[last].kind = failure.kind
            }
            return (ticket, state)
        }
        guard let ticket else { return }
        if case .completed = end { Self.measureThinking(state, admission.envelope.isStream, services) }
        let usage = state.progress.usage
        var rate: Int64?
        // A short answer says nothing about speed.
        if let output = usage?.completionTokens, output >= 16, let first = state.firstContentAt {
            let milliseconds = Self.milliseconds(first, now)
            if milliseconds >= 20 { rate = output.multipliedReportingOverflow(by: 1_000).partialValue / milliseconds }
        }
        services.health.ended(
            ticket, end, tokens: usage.map { $0.promptTokens + $0.completionTokens }, tokensPerSecond: rate)
    }

    // MARK: The end

    /// Settles or voids. When this returns, the end is in the journal.
    /// - Throws: ``StoreError`` when the journal cannot take it; the caller must not let the answer look complete.
    func end(_ end: End) async throws {
        guard let state = markEnded() else { return }
        let record = Settlement.record(admission, state, end, services)
        pass?.end(used: record.usage.promptTokens + record.usage.completionTokens)
        try await Settlement.write(record, state, admission, services)
    }

    /// Ends a request after an internal error; never throws, and has no effect when the request has already ended.
    func abandon() async {
        endAttempt(.released)
        guard let state = markEnded() else { return }
        let record = Settlement.record(admission, state, abandonedEnd(state), services)
        pass?.end(used: record.usage.promptTokens + record.usage.completionTokens)
        do {
            try await Settlement.write(record, state, admission, services)
        } catch {
            services.logger.error(
                "a request's end could not be journaled",
                metadata: ["request_id": "\(record.requestID)", "error": "\(error)"])
        }
    }

    private func abandonedEnd(_ state: State) -> End {
        End(outcome: state.isCommitted ? .clientGone : .failed, status: state.isCommitted ? 200 : 499, failure: nil)
    }

    private func markEnded() -> State? {
        leaving.over()
        return state.withLock { state in
            if state.hasEnded { return nil }
            state.hasEnded = true
            state.isCutShort = leaving.isCutShort
            return state
        }
    }

    private static func write(
        _ record: RequestRecord, _ state: State, _ admission: Admission, _ services: SettlementServices
    ) async throws {
        try await services.meter.end(record)
        services.metrics.ended(record)
        let total = admission.accepted.receivedAt.duration(to: services.clock.monotonic)
        services.metrics.overhead(total - state.upstreamWait)
    }
}

// MARK: - The record

extension Settlement {
    /// Charges by the vendor's usage, or else by our own count of what was delivered; an answer is never silently free.
    private static func record(
        _ admission: Admission, _ state: State, _ end: End, _ services: SettlementServices
    ) -> RequestRecord {
        let accepted = admission.accepted
        let now = services.clock.monotonic
        var usage = Usage(requests: 0)
        var source = UsageSource.upstream
        var bill: Bill?
        if state.isCommitted || state.isOwed, let candidate = state.candidate {
            (usage, source) =
                state.isCommitted
                ? measured(state, admission, candidate, services)
                : (owedUsage(state, admission, candidate, services.vocabulary.tokens), .estimated)
            usage.serviceTier = usage.serviceTier ?? state.progress.serviceTier
            do {
                let exact = try leavingBill(
                    &usage, &source, state, candidate, admission, services, isOurs: end.failure?.source == .gateway, now: now)
                usage.serviceTier = exact.serviceTier
                bill = exact
            } catch {
                // The vendor reported no cost for a model that is charged by it, or impossible figures.
                source = .estimated
                bill = Bill(charge: admission.hold.amount)
                usage.serviceTier = nil
                services.logger.warning(
                    "charged by the hold", metadata: ["request_id": "\(accepted.requestID)", "reason": "\(error)"])
            }
            if let bill, bill.uncharged > .zero { noteUncharged(bill, admission, services) }
        }
        let route = state.candidate?.route
        var record = RequestRecord(
            requestID: accepted.requestID, userID: accepted.principal.userID, tokenID: accepted.principal.tokenID,
            channelID: route?.channel.id, provider: route?.channel.provider.name ?? "",
            model: route?.model ?? admission.envelope.model,
            upstreamModel: route?.upstreamModel ?? admission.envelope.model, endpoint: accepted.endpoint,
            usage: usage, usageSource: source, charge: bill?.charge,
            uncharged: bill?.uncharged ?? .zero, ceiling: admission.hold.ceiling,
            ratio: state.candidate?.quote.ratio ?? admission.hold.ratio,
            pricingVersion: state.candidate?.quote.version ?? admission.hold.pricingVersion,
            outcome: end.outcome, status: end.status, errorCode: end.failure?.kind.rawValue,
            isStream: admission.envelope.isStream, attempts: state.attempts.count,
            // A single successful call is described by the row itself.
            attemptList: state.attempts.count == 1 && state.attempts[0].kind == nil ? [] : state.attempts,
            generationID: state.progress.generationID, answerID: state.answerID, finish: state.progress.finish,
            latencyMilliseconds: milliseconds(accepted.receivedAt, now),
            firstTokenMilliseconds: state.firstContentAt.map { milliseconds(accepted.receivedAt, $0) },
            clientIP: accepted.clientIP, createdAt: accepted.createdAt,
            droppedFields: admission.extras.toolsLeftOut.prefix(32).map { "tools.\($0)" }
                + admission.envelope.droppedFields + state.droppedFields,
            accountID: accepted.principal.accountID)
        record.vendorCost = bill == nil ? state.attempts.costOfFailures : wholeCost(usage, state, admission)
        return record
    }

    /// The cost of the answer and of the attempts that failed before it; nil = that of the answer is unknown.
    private static func wholeCost(_ usage: Usage, _ state: State, _ admission: Admission) -> VendorCost? {
        guard let cost = cost(of: usage, state.candidate, admission) else { return nil }
        return state.attempts.costOfFailures.map(cost.adding) ?? cost
    }

    /// The vendor's bill for this usage; nil = unknown.
    /// - Parameter isAnswer: whether the request was answered, so that the searches count that it is charged for at least.
    private static func cost(
        of usage: Usage, _ candidate: PricedCandidate?, _ admission: Admission, isAnswer: Bool = true
    ) -> VendorCost? {
        guard let candidate else { return nil }
        func price() -> CostPrice? {
            var cost = admission.accepted.snapshot.cost(candidate.route.channel, upstream: candidate.route.upstreamModel)
            if let price = cost?.price, price.pictures != nil {
                cost?.price = price.ofPicture(size: admission.envelope.media.size, quality: admission.envelope.media.quality)
            }
            return cost
        }
        return VendorCost.of(usage, at: price(), soldAt: isAnswer ? candidate.quote : nil)
    }

    /// Strict admission promises that a request never costs more than its hold: the operator pays what a vendor adds beyond that, and is
    /// informed of it.
    private static func noteUncharged(_ bill: Bill, _ admission: Admission, _ services: SettlementServices) {
        services.metrics.uncharged(bill.uncharged)
        services.logger.warning(
            "the vendor's usage is beyond the bound of the hold; charged by the hold (strict admission)",
            metadata: [
                "request_id": "\(admission.accepted.requestID)", "hold": "\(admission.hold.amount)",
                "uncharged": "\(bill.uncharged)",
            ])
    }

    private static func measured(
        _ state: State, _ admission: Admission, _ candidate: PricedCandidate, _ services: SettlementServices
    ) -> (Usage, UsageSource) {
        admission.envelope.settledUsage(state.progress, price: candidate.quote.price, vocabulary: services.vocabulary.tokens)
    }

    private static func milliseconds(_ from: MonotonicInstant, _ to: MonotonicInstant) -> Int64 {
        (to.nanoseconds - from.nanoseconds) / 1_000_000
    }
}
