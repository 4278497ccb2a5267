import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage
import Synchronization

/// Logins in `audit_log`. Each success is a row, written with its session. Anyone can cause failures, so they are limited: in ten minutes,
/// the first failure of each of twenty pairs of user and address is a row at once; all others are counted in one row at the end. A flood
/// therefore writes about three thousand rows a day, half a megabyte, regardless of the number of tries.
///
/// Names are not stored, because people type passwords into the wrong field: a user is identified by id, an unknown name not at all.
final class LoginRecords: Sendable {
    struct Source: Hashable, Sendable {
        var userID: Int64?
        var address: String
        var reason: String

        var members: [JSONValue.Member] {
            [.init("user_id", .integer(userID)), .init("address", .string(address)), .init("reason", .string(reason))]
        }
    }

    private struct Window {
        /// Unix seconds.
        var began: Int64
        /// Failures after the first, by source.
        var further: [Source: Int64] = [:]
        /// Failures from sources that have no row.
        var others: Int64 = 0

        var hasMore: Bool { others > 0 || further.values.contains { $0 > 0 } }
    }

    static let windowSeconds: Int64 = 600
    static let maximumSources = 20

    private let window = Mutex<Window?>(nil)
    private let store: any AdminStore
    private let clock: ServerClock
    private let logger: Logger

    init(store: any AdminStore, clock: ServerClock, logger: Logger) {
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    static func success(_ user: User, address: String, now: Int64) -> AuditEntry {
        AuditEntry(actorID: user.id, action: "user.login", clientIP: address, at: now)
    }

    /// - Parameters:
    ///   - user: nil = no user has that name.
    ///   - isDisabled: the password was correct, but the user is disabled.
    func failed(_ user: User?, isDisabled: Bool, address: String) async {
        let reason = user == nil ? "unknown user" : isDisabled ? "disabled user" : "wrong password"
        let source = Source(userID: user?.id, address: address, reason: reason)
        let now = clock.unixSeconds
        var entries = take(before: now - Self.windowSeconds + 1)
        let isFirst = window.withLock { window in
            var open = window ?? Window(began: now)
            defer { window = open }
            if open.further[source] != nil {
                open.further[source, default: 0] += 1
                return false
            }
            guard open.further.count < Self.maximumSources else {
                open.others += 1
                return false
            }
            open.further[source] = 0
            return true
        }
        if isFirst {
            entries.append(
                AuditEntry(
                    actorID: nil, action: "user.login_failed", detail: source.members, clientIP: address, at: now))
        }
        await write(entries)
    }

    /// Writes the counts of a window that has ended. - Parameter all: also those of the open window, because the program ends.
    func flush(all: Bool) async { await write(take(before: all ? .max : clock.unixSeconds - Self.windowSeconds + 1)) }

    /// Closes the window if it began before a given time. - Returns: its row, if it has one.
    private func take(before limit: Int64) -> [AuditEntry] {
        let closed = window.withLock { window -> Window? in
            guard let open = window, open.began < limit else { return nil }
            window = nil
            return open
        }
        guard let closed, closed.hasMore else { return [] }
        let sources = closed.further.filter { $0.value > 0 }.sorted {
            ($1.value, $0.key.address) < ($0.value, $1.key.address)
        }
        let list = sources.map { JSONValue.object($0.key.members + [.init("further", .integer($0.value))]) }
        return [
            AuditEntry(
                actorID: nil, action: "user.logins_failed",
                detail: [
                    .init("since", .integer(closed.began)), .init("sources", .array(list)),
                    .init("others", .integer(closed.others)),
                ], at: clock.unixSeconds)
        ]
    }

    /// A failed login has changed nothing, so a row that cannot be written is only reported in the log.
    private func write(_ entries: [AuditEntry]) async {
        for entry in entries {
            do {
                try await store.audit(entry)
            } catch {
                logger.error(
                    "failed logins could not be put on record",
                    metadata: ["detail": "\(entry.action)", "error": "\(error)"])
            }
        }
    }
}

/// Writes the counts of failed logins when their window ends, and at shutdown.
struct LoginRecordWriter: Service {
    let logins: LoginRecords

    private static let interval = Duration.seconds(60)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                await logins.flush(all: false)
            }
        }
        await logins.flush(all: true)
    }
}
