import Config
import GatewayState
import Metering
import NIOCore
import RouterCore
import Synchronization

/// Decides what happens to a request's upstream call when its client disconnects, and whether the client pays for it: once the request has
/// been written to a vendor, a client that leaves pays at least the prompt (docs/ledger.md, "Leaving early").
final class Leaving: Sendable {
    private struct State {
        /// Candidate of the current attempt, or of the last one.
        var candidate: PricedCandidate?
        var cancellation: UpstreamCancellation?
        var hasLeft = false
        var isAbandoned = false
        var isOver = false
        var drain: UInt64?
        /// Whether one of our own limits has cut the call although the vendor continues to bill it.
        var isCutShort = false
    }
    private let state = Mutex(State())
    private let admission: Admission
    private let services: SettlementServices

    init(_ admission: Admission, _ services: SettlementServices) {
        self.admission = admission
        self.services = services
    }

    /// From here on the client's disconnect is noticed, until ``over()``.
    func watch() { admission.accepted.presence.onGone(self) { self.clientLeft() } }

    // MARK: Attempts

    /// An attempt begins.
    func begin(_ candidate: PricedCandidate) {
        state.withLock { state in
            state.candidate = candidate
            state.cancellation = nil
        }
    }

    /// Registers the cancellation of the attempt that is about to be made. If the client has already left, the attempt is not made.
    func cancels(with cancellation: UpstreamCancellation) {
        let isUnwanted = state.withLock { state in
            state.cancellation = cancellation
            return state.isAbandoned || state.hasLeft
        }
        if isUnwanted { cancellation.cancel() }
    }

    /// No answer is needed any more: there are no further attempts, and the current one ends now.
    func abandon() {
        let cancellation = state.withLock { state in
            state.isAbandoned = true
            return state.cancellation
        }
        cancellation?.cancel()
    }

    var isAbandoned: Bool { state.withLock { $0.isAbandoned } }

    /// The client has left: its connection has closed, or a write to it failed. Only the first call has an effect.
    func clientLeft() {
        let attempt = state.withLock { state -> (PricedCandidate, UpstreamCancellation)? in
            guard !state.hasLeft, !state.isOver else { return nil }
            state.hasLeft = true
            guard let candidate = state.candidate, let cancellation = state.cancellation else { return nil }
            return (candidate, cancellation)
        }
        guard let (candidate, cancellation) = attempt else { return }
        // A vendor that has received nothing of the request bills nothing.
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
        // Evaluated only where it makes a difference, because the request has to be searched for it.
        if rule.action == .cancel, !rule.billing.isFree { rule.mayThink = candidate.route.mayThink(admission.envelope) }
        return rule.action
    }

    private func rule(_ candidate: PricedCandidate) -> LeavingRule {
        LeavingRule(
            billing: candidate.route.channel.provider.billing, isStream: admission.envelope.isStream,
            isPicture: admission.envelope.endpoint.isBilledToTheEnd)
    }

    // MARK: The end

    /// Whether the client has to pay for an attempt that ended without content: the client's disconnect ended it, or one of our limits did
    /// after the client had left. If the vendor failed by itself, no one pays.
    func owes(for failure: UpstreamFailure) -> Bool {
        let isOurs = failure.source != .upstream || failure.kind == .timeout || failure.kind == .cancelled
        return isOurs && state.withLock { $0.hasLeft && $0.cancellation?.isWritten == true }
    }

    /// Whether the call was cut although the vendor continues to bill it; the charge is then at least the hold.
    var isCutShort: Bool { state.withLock { $0.isCutShort } }

    /// The request has ended.
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
    /// The usage owed by a client that left before any content: what the vendor has reported so far, or else what it received.
    static func owedUsage(
        _ state: State, _ admission: Admission, _ candidate: PricedCandidate, _ vocabulary: BPEVocabulary?
    ) -> Usage {
        state.progress.usage ?? admission.envelope.handedOverUsage(price: candidate.quote.price, vocabulary: vocabulary)
    }

    /// The bill of a request that is over. If its client left before the vendor's final figures, estimated reasoning is included; if one of
    /// our limits cut a call that the vendor continues to bill, it is at least the hold.
    static func leavingBill(
        _ usage: inout Usage, _ source: inout UsageSource, _ state: State, _ candidate: PricedCandidate,
        _ admission: Admission, _ services: SettlementServices, isOurs: Bool, now: MonotonicInstant
    ) throws(MeteringError) -> Bill {
        let quote = admission.quote(candidate)
        // A client that stays and reads so slowly that one of our deadlines ends the call is treated like one that leaves.
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

    /// The estimate of the model's reasoning so far; nil where the model does not reason, or the vendor has reported its final figures.
    /// - Parameter now: when the call ended, if it produced no content.
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

    /// Measures the model's speed from an answer that has ended: if no reasoning was visible, all of it took place before the first
    /// content; for a whole answer, the time is that of all its output.
    static func measureThinking(_ state: State, _ isStream: Bool, _ services: SettlementServices) {
        let progress = state.progress
        guard let usage = progress.usage, !progress.isUsageEstimated, let candidate = state.candidate,
            let start = state.attemptStartedAt,
            let first = state.firstContentAt
        else { return }
        var thoughts = usage.reasoning
        if thoughts == 0, isStream {
            // Anthropic reports no separate figure for reasoning: the invisible part counts as reasoning where it is most of the answer.
            let unseen = usage.output - progress.estimatedOutputTokens
            if unseen > usage.output / 2 { thoughts = unseen }
        }
        guard thoughts > 0, !isStream || progress.deliveredThoughts == 0 else { return }
        services.thinkingSpeed.measured(
            candidate.route, tokens: isStream ? thoughts : usage.output, time: start.duration(to: first))
    }
}
