package import RouterCore
import Synchronization

/// Passes of model calls that go on at a vendor after their answers: they count in the limits of key and user until their holds end. In
/// memory, as all of these limits: after a restart the calls that it outlasted count no more.
package final class LongPasses: Sendable {
    private struct Entry {
        var pass: LimitPass
        /// Tokens that count when nobody says how many there were.
        var tokens: Int64
    }

    private let entries = Mutex<[RequestID: Entry]>([:])

    package init() {}

    /// - Parameter tokens: what the call has used at least.
    package func keep(_ pass: LimitPass, of id: RequestID, tokens: Int64) {
        entries.withLock { $0[id] = Entry(pass: pass, tokens: tokens) }
    }

    package var held: [RequestID] { entries.withLock { Array($0.keys) } }

    /// The hold has ended. - Parameter used: the tokens of the call; nil = not known here.
    package func end(_ id: RequestID, used: Int64? = nil) {
        guard let entry = entries.withLock({ $0.removeValue(forKey: id) }) else { return }
        entry.pass.end(used: used ?? entry.tokens)
    }
}
