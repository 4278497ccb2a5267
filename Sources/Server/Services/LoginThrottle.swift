import Gateway
import RouterCore
import Synchronization

/// Slows password guessing down. Each subject (an address, a name, a known device …) has a burst of tries and gains one more per interval.
/// A try counts as failed from its beginning until it has succeeded, so that parallel tries have no advantage over sequential ones.
///
/// Nothing here locks an account: no subject waits longer than its interval, however many tries there were. A user who has logged in before
/// from the same address or with the same browser is a separate subject, which strangers cannot use up.
final class LoginThrottle: Sendable {
    enum Subject: Sendable, Hashable {
        /// The source of strangers' tries: an IPv4 address or the /64 of an IPv6 one.
        case address(String)
        /// The name that strangers try, from all sources together.
        case name(String)
        /// A name that is tried from one source: the part of the tries at a name that one stranger may use, so that none can use them all.
        case nameFrom(String, String)
        /// The same for an address that many clients share: the machine itself, or a proxy that does not report its clients.
        case nameShared(String, String)
        /// A user at an address from which they have logged in before.
        case knownAddress(Int64, String)
        /// A browser with which its user has logged in before.
        case knownDevice(String)
        /// A session whose user has to confirm the password.
        case ownPassword(Int64)
        /// Accounts registered from an address.
        case registration(String)
        /// Redemption codes that a user tries.
        case redemption(Int64)
        /// The same from an address that one client has to itself.
        case redemptionFrom(String)

        fileprivate var rule: Rule {
            switch self {
            case .address: Rule(burst: 10, interval: .seconds(20))
            case .name: Rule(burst: 30, interval: .seconds(30))
            case .nameFrom: Rule(burst: 10, interval: .seconds(120))
            case .nameShared: Rule(burst: 30, interval: .seconds(30))
            // Behind an untrusted proxy, all clients have the proxy's address: they get a short wait, not a refusal.
            case .knownAddress: Rule(burst: 10, interval: .seconds(1), patience: .seconds(5))
            case .knownDevice: Rule(burst: 10, interval: .seconds(5))
            case .ownPassword: Rule(burst: 5, interval: .seconds(30))
            case .registration: Rule(burst: 5, interval: .seconds(60))
            case .redemption: Rule(burst: 10, interval: .seconds(30))
            case .redemptionFrom: Rule(burst: 20, interval: .seconds(30))
            }
        }
    }

    /// A burst of tries, then one per interval. A try that is due within `patience` waits for it.
    fileprivate struct Rule {
        var burst: Int64
        var interval: Duration
        var patience = Duration.zero
    }

    enum Verdict: Sendable, Hashable {
        /// The try counts as failed from now on. The password may be checked after this time.
        case allowed(after: Duration)
        case refused(retryAfter: Duration)
    }

    /// The subjects that a stranger's try counts for. Tries from the machine itself count separately, so that remote clients cannot lock
    /// out its owner.
    static func strangers(_ source: LoginSource, name: String) -> [Subject] {
        let name = name.lowercased()
        if source.isShared { return [.nameShared(name, source.text)] }
        return [.address(source.text), .nameFrom(name, source.text), .name(name)]
    }

    /// When all tries of a subject are forgotten, in nanoseconds of the monotonic clock (the single value of the generic cell rate
    /// algorithm).
    private let times = Mutex<[Subject: Int64]>([:])
    private let maximumEntries: Int

    init(maximumEntries: Int = 50_000) { self.maximumEntries = maximumEntries }

    /// Begins a try that counts for all of these subjects: if one of them refuses it, it counts for none.
    func begin(_ subjects: [Subject], now: MonotonicInstant) -> Verdict {
        times.withLock { times in
            var wait = Duration.zero
            for subject in subjects {
                let rule = subject.rule
                let due = Self.due(times[subject], rule, now)
                if due > rule.patience { return .refused(retryAfter: due - rule.patience) }
                wait = max(wait, due)
            }
            makeRoom(&times, now)
            for subject in subjects {
                times[subject] = max(times[subject] ?? 0, now.nanoseconds) + subject.rule.interval.wholeNanoseconds
            }
            return .allowed(after: wait)
        }
    }

    /// Time until a subject's next try is permitted.
    private static func due(_ time: Int64?, _ rule: Rule, _ now: MonotonicInstant) -> Duration {
        guard let time else { return .zero }
        let full = (rule.burst - 1) * rule.interval.wholeNanoseconds
        return .nanoseconds(max(0, time - full - now.nanoseconds))
    }

    /// The try succeeded, or the password could not be checked: it no longer counts. Earlier tries still count, so that a guesser with an
    /// account of their own gains nothing by logging in to it between two guesses.
    func takeBack(_ subjects: [Subject]) {
        times.withLock { times in
            for subject in subjects {
                if let time = times[subject] { times[subject] = time - subject.rule.interval.wholeNanoseconds }
            }
        }
    }

    /// Removes subjects that have no wait first, then those with the shortest.
    private func makeRoom(_ times: inout [Subject: Int64], _ now: MonotonicInstant) {
        guard times.count >= maximumEntries else { return }
        times = times.filter { $0.value > now.nanoseconds }
        guard times.count > maximumEntries / 2 else { return }
        let kept = times.sorted { $0.value > $1.value }.prefix(maximumEntries / 2)
        times = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}

/// The source of a login, as throttles distinguish it.
struct LoginSource: Sendable, Hashable {
    /// An IPv4 address, or the /64 of an IPv6 one, which usually belongs to one customer.
    var text: String
    /// Whether many clients share the address: the machine itself and trusted proxies.
    var isShared: Bool

    init(_ address: String, proxies: TrustedProxies) {
        guard let parsed = IPAddress(address) else {
            (text, isShared) = (address, false)
            return
        }
        text = AddressRange(around: parsed, prefix: parsed.isFour ? 32 : 64).description
        isShared = parsed.isLoopback || proxies.contains(address)
    }
}
