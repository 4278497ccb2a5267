import Logging
import Platform
import RouterCore
import Storage

/// Looks at the open holds of one kind, of all users, a few at a time. Gateways that share a ledger share the work: a hold is claimed while
/// one of them looks at it, and the claims of a dead gateway end by time.
struct LongHoldRounds: Sendable {
    let kind: LongHold.Kind
    /// Holds that are looked at together.
    let group: Int
    let store: any LongHoldStore
    let clock: ServerClock
    let logger: Logger
    /// How soon a new hold is looked at again.
    let pollInterval: @Sendable () -> Duration
    let attend: @Sendable (LongHold) async -> Void

    /// Goes on until the task is cancelled. - Parameter before: runs before each round.
    func run(before: () async -> Void = {}) async {
        while !Task.isCancelled {
            await before()
            if await round() { continue }
            try? await Task.sleep(for: min(pollInterval(), .seconds(1)))
        }
    }

    /// - Returns: whether there may be more to do at once.
    private func round() async -> Bool {
        let poll = pollInterval().components.seconds
        do {
            let due = try await store.dueLongHolds(kind, now: clock.unixSeconds, claim: min(max(2 * poll, 5), 60), limit: group)
            await withTaskGroup(of: Void.self) { tasks in
                for hold in due { tasks.addTask { await attend(hold) } }
            }
            // With intervals below a second, the same ones are due again.
            return due.count == group && poll > 0
        } catch {
            logger.debug("open holds could not be looked up", metadata: ["kind": "\(kind.rawValue)", "error": "\(error)"])
            return false
        }
    }
}
