import HTTPTypes
import Platform
import RouterCore

/// Password tries: limits their number, and how many are processed at a time.
struct PasswordTries: Sendable {
    let throttle: LoginThrottle
    let clock: ServerClock

    /// Begins a try, after the short wait that applies to some subjects.
    /// - Throws: ``ManagementError`` 429.
    func begin(_ subjects: [LoginThrottle.Subject]) async throws {
        switch throttle.begin(subjects, now: clock.monotonic) {
        case .allowed(let wait): if wait > .zero { try await Task.sleep(for: wait) }
        case .refused(let wait):
            let seconds = wait.wholeSecondsUp
            throw ManagementError(
                .tooManyRequests, "too many tries; try again in \(seconds) seconds", code: .loginThrottled,
                headers: [.retryAfter: String(seconds)])
        }
    }

    /// Runs password hashing; a 503 when too many are waiting.
    static func hashing<Value>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch is PasswordQueue.Busy {
            throw ManagementError(
                .serviceUnavailable, "too many passwords are being checked; try again in a few seconds", headers: [.retryAfter: "3"])
        }
    }
}
