package import RouterCore
import Storage
import Synchronization

/// What this gateway is to its ledger: the life that has its identity, or one that has lost it and takes no calls.
///
/// Also what a task in the background has last heard of the ledger, so that `/health/ready` needs no question of its
/// own.
package final class Membership: Sendable {
    enum Standing: Sendable, Hashable {
        /// Not yet at its place: the start is under way.
        case joining
        case member
        /// Takes no calls. - Parameter reason: a sentence for operators.
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

    /// Without an answer for so long, the ledger counts as away. Together with ``beatInterval`` less than
    /// ``LeaseTrust/freshness``, so that a database that hangs does not keep requests waiting.
    static let patience = Duration.seconds(3)
    static let beatInterval = Duration.seconds(1)
    init(_ holder: LeaseHolder) { state = Mutex(State(holder: holder)) }

    package var holder: LeaseHolder { state.withLock { $0.holder } }
    var standing: Standing { state.withLock { $0.standing } }
    package var isFenced: Bool { fencedReason != nil }
    /// False while it has never taken a call.
    var hasHadPlace: Bool { state.withLock { $0.hasHadPlace } }

    /// Why no calls are taken; nil when they are.
    package var fencedReason: String? {
        state.withLock { if case .fenced(let reason) = $0.standing { reason } else { nil } }
    }

    /// Gateways at work on this database, this one included, by what was heard within the last ten seconds. Read from
    /// memory.
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

    /// - Returns: true when that is news.
    func fence(_ reason: String) -> Bool {
        state.withLock { state in
            let isNews = if case .fenced = state.standing { false } else { true }
            state.standing = .fenced(reason)
            return isNews
        }
    }

    /// The ledger has answered a question of the present life that was asked at `asked`.
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

    /// Until when leases may be spent without another word of the ledger; nil = for ever.
    var trust: MonotonicInstant? {
        state.withLock { state in
            guard case .member = state.standing else { return MonotonicInstant(nanoseconds: .min) }
            return state.holder.isExclusive ? nil : state.trust.until(lifetime: state.holder.lifetime)
        }
    }
}
