import GatewayState
import HTTPTypes
import Logging
import NIOCore
import Platform
import RouterCore

/// Step 5: tries one channel after the other until content arrives. The client has received nothing of an answer so far, so failing over
/// has no visible effect. The pure ``AttemptSequence`` decides which channel is next and when to stop; this type performs its steps.
struct Attempt: Sendable {
    let services: AttemptServices
    let admission: Admission

    /// Stored on the heap, because it passes through suspended frames.
    indirect enum Result: Sendable {
        case whole(WholeAnswer)
        case stream(StreamAnswer)
        case failed(UpstreamFailure)
    }

    func run(_ settlement: Settlement) async -> Result {
        let policy = admission.planned.policy
        let deadline = admission.accepted.receivedAt.advanced(by: policy.timeouts.total)
        var sequence = AttemptSequence(
            candidates: admission.candidates.map(\.route), policy: policy, deadline: deadline, tokens: admission.planned.tokens)
        services.health.requestBegan()
        while true {
            guard !admission.accepted.presence.isGone, !settlement.leaving.isAbandoned else { return .failed(.clientGone) }
            switch services.health.step(&sequence) {
            case .attempt(let position, let route, let ticket):
                let candidate = admission.candidates[position].with(route)
                settlement.begin(candidate, ticket)
                let one = SingleAttempt(
                    services: services, admission: admission, candidate: candidate, settlement: settlement,
                    remaining: services.clock.monotonic.duration(to: deadline))
                switch await one.run() {
                case .failed(let failure):
                    settlement.fail(failure)
                    log(failure, candidate, ticket)
                    sequence.failed(failure)
                case let answer:
                    services.metrics.attempt(
                        channelID: route.channel.id, result: "ok", isLastResort: ticket.isLastResort)
                    return answer
                }
            case .wait(let duration): await wait(duration, settlement)
            case .stop(let stop): return .failed(failure(stop, sequence))
            }
        }
    }

    /// Waits until the only channel may be asked again, or the client leaves.
    private func wait(_ duration: Duration, _ settlement: Settlement) async {
        let end = services.clock.monotonic.advanced(by: duration)
        while !admission.accepted.presence.isGone, !settlement.leaving.isAbandoned, !Task.isCancelled {
            let rest = services.clock.monotonic.duration(to: end)
            guard rest > .zero else { return }
            try? await Task.sleep(for: min(rest, .milliseconds(250)))
        }
    }

    private func failure(_ stop: AttemptSequence.Stop, _ sequence: AttemptSequence) -> UpstreamFailure {
        if case .outOfBudget = stop {
            services.logger.warning(
                "no retry: the retry budget is used up", metadata: ["request_id": "\(admission.accepted.requestID)"])
        }
        if let failure = stop.failure { return failure }
        guard let until = sequence.limitedUntil else { return .nothingTried }
        var limited = UpstreamFailure.nothingTried
        limited.kind = .rateLimit
        limited.retryAfter = max(services.clock.monotonic.duration(to: until), .seconds(1))
        return limited
    }

    private func log(_ failure: UpstreamFailure, _ candidate: PricedCandidate, _ ticket: AttemptTicket) {
        services.metrics.attempt(
            channelID: candidate.route.channel.id, result: failure.kind.rawValue, isLastResort: ticket.isLastResort)
        services.logger.info(
            "attempt failed",
            metadata: [
                "request_id": "\(admission.accepted.requestID)", "channel": "\(candidate.route.channel.name)",
                "kind": "\(failure.kind.rawValue)", "status": "\(failure.status ?? 0)", "detail": "\(failure.detail)",
            ])
    }
}

extension UpstreamFailure {
    static let nothingTried = UpstreamFailure(
        source: .gateway, kind: .overloaded, retry: .no, retryAfter: .seconds(1),
        detail: "no candidate could be tried at the moment")
}
