package import RouterCore
import Storage
import Synchronization

/// The relation of this gateway to its ledger: it is the life that has the identity, or it has lost the identity and takes no calls.
///
/// Also holds what a background task last learned about the ledger, so that `/health/ready` needs no query of its own.
package final class Membership: Sendable {
    enum Standing: Sendable, Hashable {
        /// The gateway is starting and does not have its place yet.
        case joining
        case member
        /// The gateway takes no calls. - Parameter reason: a sentence for operators.
        case fenced(String)
    }

    private struct State {
        var holder: LeaseHolder
        var standing = Standing.joining
        var trust = LeaseTrust()
        var watch = LeaseWatch()
        var hasHadPlace = false
    }
    private let state: Mutex<State>

    /// After this time without an answer, the ledger counts as unreachable. Together with ``beatInterval`` it is shorter than
    /// ``LeaseTrust/freshness``, so that a hanging database does not keep requests waiting.
    static let patience = Duration.seconds(3)
    static let beatInterval = Duration.seconds(1)
    init(_ holder: LeaseHolder) { state = Mutex(State(holder: holder)) }

    package var holder: LeaseHolder { state.withLock { $0.holder } }
    var standing: Standing { state.withLock { $0.standing } }
    package var isFenced: Bool { fencedReason != nil }
    /// Whether this process has ever taken calls.
    var hasHadPlace: Bool { state.withLock { $0.hasHadPlace } }

    /// The reason why no calls are taken; nil when they are.
    package var fencedReason: String? {
        state.withLock { if case .fenced(let reason) = $0.standing { reason } else { nil } }
    }

    /// Number of active gateways on this database, this one included, from heartbeats of the last ten seconds. Read from memory.
    package var liveGateways: Int { state.withLock { 1 + $0.watch.othersAlive } }

    /// True while the ledger does not answer.
    package var isLedgerAway: Bool { state.withLock { $0.trust.isLedgerAway } }

    // MARK: What happens

    func joined(_ holder: LeaseHolder, proof: MonotonicInstant) {
        state.withLock { state in
            state.holder = holder
            state.standing = .member
            state.hasHadPlace = true
            state.trust.lost()
            state.trust.heard(asked: proof)
        }
    }

    /// - Returns: true when the state has changed.
    func fence(_ reason: String) -> Bool {
        state.withLock { state in
            let isNews = if case .fenced = state.standing { false } else { true }
            state.standing = .fenced(reason)
            return isNews
        }
    }

    /// The ledger has answered a question that the present life asked at `asked`.
    func heard(asked: MonotonicInstant, as holder: LeaseHolder) {
        state.withLock { state in
            if state.holder == holder { state.trust.heard(asked: asked) } else { state.trust.isLedgerAway = false }
        }
    }

    /// - Returns: lives whose leases may be taken back.
    func saw(_ lives: [GatewayLife], asked: MonotonicInstant, answered: MonotonicInstant) -> [GatewayLife] {
        state.withLock { $0.watch.saw(lives, own: $0.holder.incarnation, asked: asked, answered: answered) }
    }

    func ledgerAnswers(_ answers: Bool) { state.withLock { $0.trust.isLedgerAway = !answers } }

    /// Until when leases may be spent without another answer from the ledger; nil = without limit.
    var trust: MonotonicInstant? {
        state.withLock { state in
            guard case .member = state.standing else { return MonotonicInstant(nanoseconds: .min) }
            return state.holder.isExclusive ? nil : state.trust.until(lifetime: state.holder.lifetime)
        }
    }
}
