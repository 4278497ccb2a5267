import Gateway
import RouterCore
import Synchronization

/// Slows guessing down. Each subject (an address, a name, a known device …) has a number of tries at once and gets one more at intervals. A
/// try counts as failed from its beginning until it has succeeded, so that many at once get no more than many in a row.
///
/// Nothing here is a lock: no subject waits longer than its interval, however much was tried. And whoever has logged in before, from the
/// same address or with the same browser, is a subject of their own, which strangers cannot use up.
final class LoginThrottle: Sendable {
    enum Subject: Sendable, Hashable {
        /// Where strangers try from: an IPv4 address or the /64 of an IPv6 one.
        case address(String)
        /// The name that strangers try, from wherever they do.
        case name(String)
        /// A name that is tried from one place: what one stranger has of the tries at a name, so that none of them has them all.
        case nameFrom(String, String)
        /// The same where everybody has the address: the machine itself, or a proxy that does not say for whom it speaks.
        case nameShared(String, String)
        /// A user at an address from which they have logged in before.
        case knownAddress(Int64, String)
        /// A browser with which its user has logged in before.
        case knownDevice(String)
        /// A session that has to show its user's password once more.
        case ownPassword(Int64)
        /// Accounts made from an address.
        case registration(String)

        fileprivate var rule: Rule {
            switch self {
            case .address: Rule(burst: 10, interval: .seconds(20))
            case .name: Rule(burst: 30, interval: .seconds(30))
            case .nameFrom: Rule(burst: 10, interval: .seconds(120))
            case .nameShared: Rule(burst: 30, interval: .seconds(30))
            // Behind a proxy that is not trusted everybody has the address of the proxy: a short wait in line, not a refusal.
            case .knownAddress: Rule(burst: 10, interval: .seconds(1), patience: .seconds(5))
            case .knownDevice: Rule(burst: 10, interval: .seconds(5))
            case .ownPassword: Rule(burst: 5, interval: .seconds(30))
            case .registration: Rule(burst: 5, interval: .seconds(60))
            }
        }
    }

    /// So many tries at once, then one for each interval. A try whose turn comes within `patience` waits for it.
    fileprivate struct Rule {
        var burst: Int64
        var interval: Duration
        var patience = Duration.zero
    }

    enum Verdict: Sendable, Hashable {
        /// It counts as failed from now on. The password is to be looked at after this time.
        case allowed(after: Duration)
        case refused(retryAfter: Duration)
    }

    /// The subjects that a stranger's try counts for. Tries from the machine itself count apart, so that nobody elsewhere can lock its
    /// owner out.
    static func strangers(_ source: LoginSource, name: String) -> [Subject] {
        let name = name.lowercased()
        if source.isShared { return [.nameShared(name, source.text)] }
        return [.address(source.text), .nameFrom(name, source.text), .name(name)]
    }

    /// When all tries of a subject are forgotten, in nanoseconds of the monotonic clock (the generic cell rate algorithm's one number).
    private let times = Mutex<[Subject: Int64]>([:])
    private let maximumEntries: Int

    init(maximumEntries: Int = 50_000) { self.maximumEntries = maximumEntries }

    /// Begins a try that is all of these subjects' at once: refused by one, it counts for none.
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

    /// How long until a subject's next try has its turn.
    private static func due(_ time: Int64?, _ rule: Rule, _ now: MonotonicInstant) -> Duration {
        guard let time else { return .zero }
        let full = (rule.burst - 1) * rule.interval.wholeNanoseconds
        return .nanoseconds(max(0, time - full - now.nanoseconds))
    }

    /// The try succeeded, or the password could not be looked at: it counts no more. Earlier ones do, so that a guesser with an account of
    /// their own gains nothing by logging in to that between two guesses.
    func takeBack(_ subjects: [Subject]) {
        times.withLock { times in
            for subject in subjects {
                if let time = times[subject] { times[subject] = time - subject.rule.interval.wholeNanoseconds }
            }
        }
    }

    /// Those who have nothing to wait for go first, then those with the least.
    private func makeRoom(_ times: inout [Subject: Int64], _ now: MonotonicInstant) {
        guard times.count >= maximumEntries else { return }
        times = times.filter { $0.value > now.nanoseconds }
        guard times.count > maximumEntries / 2 else { return }
        let kept = times.sorted { $0.value > $1.value }.prefix(maximumEntries / 2)
        times = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}

/// Where a login comes from, as throttles see it.
struct LoginSource: Sendable, Hashable {
    /// An IPv4 address, or the /64 that one IPv6 customer usually has whole.
    var text: String
    /// The machine itself and trusted proxies are no single client's address.
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
