import Config
import GatewayState
import Metering
import NIOCore
import RouterCore
import Synchronization

/// What the client's leaving does to the upstream call of one request, and whether it has to be paid for: once the
/// request has been written to a vendor, whoever leaves pays at least the prompt (docs/ledger.md, "Leaving early").
final class Leaving: Sendable {
    private struct State {
        /// Candidate of the attempt under way, or of the last one.
        var candidate: PricedCandidate?
        var cancellation: UpstreamCancellation?
        var hasLeft = false
        var isAbandoned = false
        var isOver = false
        var drain: UInt64?
        /// A bound of ours has cut the call although the vendor bills it on.
        var isCutShort = false
    }
    private let state = Mutex(State())
    private let admission: Admission
    private let services: SettlementServices

    init(_ admission: Admission, _ services: SettlementServices) {
        self.admission = admission
        self.services = services
    }

    /// From here on the client's leaving is noticed, until ``over()``.
    func watch() { admission.accepted.presence.onGone(self) { self.clientLeft() } }

    // MARK: Attempts

    /// An attempt begins.
    func begin(_ candidate: PricedCandidate) {
        state.withLock { state in
            state.candidate = candidate
            state.cancellation = nil
        }
    }

    /// What ends the attempt that is about to be made. For a client that is not there any more it is not made at all.
    func cancels(with cancellation: UpstreamCancellation) {
        let isUnwanted = state.withLock { state in
            state.cancellation = cancellation
            return state.isAbandoned || state.hasLeft
        }
        if isUnwanted { cancellation.cancel() }
    }

    /// Nobody waits for an answer any more: no further attempt, and the one under way ends now.
    func abandon() {
        let cancellation = state.withLock { state in
            state.isAbandoned = true
            return state.cancellation
        }
        cancellation?.cancel()
    }

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// The client has left: its connection has closed, or nothing can be written to it. Only the first word counts.
    func clientLeft() {
        let attempt = state.withLock { state -> (PricedCandidate, UpstreamCancellation)? in
            guard !state.hasLeft, !state.isOver else { return nil }
            state.hasLeft = true
            guard let candidate = state.candidate, let cancellation = state.cancellation else { return nil }
            return (candidate, cancellation)
        }
        guard let (candidate, cancellation) = attempt else { return }
        // A vendor that has nothing of the request has nothing to bill either.
        guard cancellation.isWritten, action(candidate) == .drain else { return cancellation.cancel() }
        let metering = admission.accepted.snapshot.configuration.metering
        let drain = services.drains.begin(
            for: admission.hold.userID, limit: metering.maxDrains, timeout: TimeAmount(metering.drainTimeout),
            on: admission.accepted.eventLoop
        ) { self.cut(candidate, cancellation) }
        guard let drain else { return }
        let isOver = state.withLock { state in
            if !state.isOver { state.drain = drain }
            return state.isOver
        }
        if isOver { services.drains.end(drain) }
    }

    private func cut(_ candidate: PricedCandidate, _ cancellation: UpstreamCancellation) {
        if rule(candidate).isBilledOn { state.withLock { $0.isCutShort = true } }
        cancellation.cancel()
    }

    private func action(_ candidate: PricedCandidate) -> LeavingAction {
        switch admission.accepted.snapshot.configuration.metering.onClientDisconnect {
        case .cancel: return .cancel
        case .drain: return .drain
        case .auto: break
        }
        var rule = rule(candidate)
        // Only where it decides: the request is looked through for it.
        if rule.action == .cancel, !rule.billing.isFree { rule.mayThink = candidate.route.mayThink(admission.envelope) }
        return rule.action
    }

    private func rule(_ candidate: PricedCandidate) -> LeavingRule {
        LeavingRule(
            billing: candidate.route.channel.provider.billing, isStream: admission.envelope.isStream,
            isPicture: admission.envelope.endpoint.isBilledToTheEnd)
    }

    // MARK: The end

    /// Whether an attempt that has ended without content is to be paid by the client: it was the client's leaving that
    /// ended it, or a limit of ours while nobody waited any more. A vendor that has failed by itself is nobody's to
    /// pay.
    func owes(for failure: UpstreamFailure) -> Bool {
        let isOurs = failure.source != .upstream || failure.kind == .timeout || failure.kind == .cancelled
        return isOurs && state.withLock { $0.hasLeft && $0.cancellation?.isWritten == true }
    }

    /// The call was cut although the vendor bills it on: what it would have told costs as much as was held for it.
    var isCutShort: Bool { state.withLock { $0.isCutShort } }

    /// The request has its end.
    func over() {
        let drain = state.withLock { state in
            state.isOver = true
            state.cancellation = nil
            defer { state.drain = nil }
            return state.drain
        }
        admission.accepted.presence.clear(self)
        if let drain { services.drains.end(drain) }
    }
}

// MARK: - What it costs

extension Settlement {
    /// What somebody who has left before any content pays for: what the vendor has said so far, else what it was
    /// handed.
    static func owedUsage(
        _ state: State, _ admission: Admission, _ candidate: PricedCandidate, _ vocabulary: BPEVocabulary?
    ) -> Usage {
        state.progress.usage ?? admission.envelope.handedOverUsage(price: candidate.quote.price, vocabulary: vocabulary)
    }

    /// The bill of a request that is over. Where its client has left before the vendor's final figures, with what may
    /// have been thought until then; where a bound of ours cut a call that the vendor bills on, the hold at least.
    static func leavingBill(
        _ usage: inout Usage, _ source: inout UsageSource, _ state: State, _ candidate: PricedCandidate,
        _ admission: Admission, _ services: SettlementServices, isOurs: Bool, now: MonotonicInstant
    ) throws(MeteringError) -> Bill {
        let quote = admission.quote(candidate)
        // Whoever stays and reads so slowly that a deadline of ours ends the call is in the same place as whoever leaves.
        guard admission.accepted.presence.isGone || isOurs, !state.progress.isDone else { return try quote.bill(for: usage) }
        var bill: Bill
        if let thinking = thinking(state, state.progress, admission, services, now: now) {
            (usage, bill) = try quote.bill(
                for: usage, with: thinking, seen: state.progress.deliveredThoughts, hold: admission.hold.amount)
            source = .estimated
        } else {
            bill = try quote.bill(for: usage)
        }
        if state.isCutShort {
            bill.charge = max(bill.charge, admission.hold.amount)
            source = .estimated
        }
        return bill
    }

    /// What the model may have thought until now; nil where it does not think, or where the vendor has told its final
    /// figures.
    /// - Parameter now: when the call ended, if nothing has come of it.
    static func thinking(
        _ state: State, _ progress: AnswerProgress, _ admission: Admission, _ services: SettlementServices,
        now: MonotonicInstant
    ) -> ThinkingEstimate? {
        guard !progress.isDone, let candidate = state.candidate, let start = state.attemptStartedAt,
            candidate.route.mayThink(admission.envelope)
        else { return nil }
        let metering = admission.accepted.snapshot.configuration.metering
        return ThinkingEstimate(
            time: start.duration(to: state.firstContentAt ?? now),
            tokensPerSecond: services.thinkingSpeed.tokensPerSecond(candidate.route) ?? metering.thinkingRate,
            choices: admission.envelope.choices,
            maximumOutput: [admission.envelope.maxOutputTokens, candidate.maxOutputTokens].compactMap { $0 }.min())
    }

    /// An answer that has come to its end says how fast its model thinks: where none of the thoughts were seen, all of
    /// them were thought before the first content; of a whole answer the time is that of all it wrote.
    static func measureThinking(_ state: State, _ isStream: Bool, _ services: SettlementServices) {
        let progress = state.progress
        guard let usage = progress.usage, !progress.isUsageEstimated, let candidate = state.candidate,
            let start = state.attemptStartedAt,
            let first = state.firstContentAt
        else { return }
        var thoughts = usage.reasoning
        if thoughts == 0, isStream {
            // Anthropic counts them without a figure of their own: what nobody saw, where it is the most of the answer.
            let unseen = usage.output - progress.estimatedOutputTokens
            if unseen > usage.output / 2 { thoughts = unseen }
        }
        guard thoughts > 0, !isStream || progress.deliveredThoughts == 0 else { return }
        services.thinkingSpeed.measured(
            candidate.route, tokens: isStream ? thoughts : usage.output, time: start.duration(to: first))
    }
}
