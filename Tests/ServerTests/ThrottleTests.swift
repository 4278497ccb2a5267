import Config
import Dispatch
import HTTPTypes
import HummingbirdTesting
import NIOCore
import RouterCore
import Synchronization
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

@Suite struct ThrottleTests {
    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }

    /// How many tries a subject has at one moment.
    private func tries(_ throttle: LoginThrottle, _ subjects: [LoginThrottle.Subject], _ now: MonotonicInstant) -> Int {
        var count = 0
        while count < 1_000, case .allowed(let wait) = throttle.begin(subjects, now: now), wait == .zero { count += 1 }
        return count
    }

    @Test("audit 16: an address guesses ten times, then every twenty seconds, whatever the names")
    func perAddress() {
        let throttle = LoginThrottle()
        for number in 0..<10 {
            #expect(throttle.begin([.address("a"), .name("user\(number)")], now: at(100)) == .allowed(after: .zero))
        }
        #expect(throttle.begin([.address("a"), .name("another")], now: at(100)) == .refused(retryAfter: .seconds(20)))
        #expect(throttle.begin([.address("b"), .name("another")], now: at(100)) == .allowed(after: .zero))
        #expect(throttle.begin([.address("a"), .name("another")], now: at(119)) == .refused(retryAfter: .seconds(1)))
        #expect(tries(throttle, [.address("a"), .name("another")], at(120)) == 1)
        // An hour later it is as if nothing had been.
        #expect(tries(throttle, [.address("a"), .name("fresh")], at(3_720)) == 10)
    }

    @Test("audit 16: guesses at one name from many addresses are bounded, and lock out nobody who is known")
    func perName() {
        let throttle = LoginThrottle()
        var allowed = 0
        for number in 0..<5_000 {
            if case .allowed = throttle.begin([.address("10.0.\(number / 250).\(number % 250)"), .name("root")], now: at(100)) {
                allowed += 1
            }
        }
        #expect(allowed == 30)
        #expect(throttle.begin([.address("new"), .name("root")], now: at(100)) == .refused(retryAfter: .seconds(30)))
        // Root, at an address or with a browser that has logged in before.
        #expect(throttle.begin([.knownAddress(1, "192.0.2.1")], now: at(100)) == .allowed(after: .zero))
        #expect(throttle.begin([.knownDevice("d")], now: at(100)) == .allowed(after: .zero))
        // And whoever is refused once is not refused for ever: the longest wait is one interval.
        #expect(throttle.begin([.address("new"), .name("root")], now: at(130)) == .allowed(after: .zero))
    }

    @Test("audit 16: behind one address that everybody has, a known user waits a moment and is not refused")
    func sharedKnownAddress() {
        let throttle = LoginThrottle()
        let root: [LoginThrottle.Subject] = [.knownAddress(1, "127.0.0.1")]
        // A guesser from the same address, one try after the other, each after its wait.
        var now = at(100)
        for _ in 0..<50 {
            guard case .allowed(let wait) = throttle.begin(root, now: now) else {
                Issue.record("refused")
                return
            }
            now = now.advanced(by: wait)
        }
        guard case .allowed(let wait) = throttle.begin(root, now: now) else {
            Issue.record("refused")
            return
        }
        #expect(wait <= .seconds(1))
        // Many at once are refused, and only for seconds.
        for _ in 0..<100 { _ = throttle.begin(root, now: now) }
        #expect(throttle.begin(root, now: now) == .refused(retryAfter: .seconds(1)))
    }

    @Test("audit 16: one stranger does not hold a name shut, and the machine's own address is apart")
    func pollers() {
        let throttle = LoginThrottle()
        let proxies = TrustedProxies([])
        func strangers(_ address: String) -> [LoginThrottle.Subject] {
            LoginThrottle.strangers(LoginSource(address, proxies: proxies), name: "Root")
        }
        // A try each second for an hour, from one address.
        for second in 0..<3_600 { _ = throttle.begin(strangers("192.0.2.66"), now: at(100 + Int64(second))) }
        #expect(throttle.begin(strangers("192.0.2.1"), now: at(3_700)) == .allowed(after: .zero), "another place")
        #expect(throttle.begin(strangers("127.0.0.1"), now: at(3_700)) == .allowed(after: .zero), "the machine itself")
        // From a hundred at once the name's own rule holds, and the machine is still apart.
        for host in 0..<100 { _ = throttle.begin(strangers("198.51.100.\(host)"), now: at(3_701)) }
        #expect(throttle.begin(strangers("192.0.2.1"), now: at(3_701)) != .allowed(after: .zero))
        #expect(throttle.begin(strangers("127.0.0.1"), now: at(3_701)) == .allowed(after: .zero))
        #expect(tries(throttle, strangers("127.0.0.1"), at(3_701)) < 30, "which is bounded too")
    }

    @Test("audit 16: one user with many logins under way keeps no other known user waiting")
    func perOwner() async throws {
        let queue = PasswordQueue(maximumWaiting: 32)
        let gate = DispatchSemaphore(value: 0)
        try await withThrowingTaskGroup(of: Int64?.self) { group in
            func add(_ owner: Int64) {
                group.addTask {
                    do {
                        try await queue.run(.known(owner: owner)) { gate.wait() }
                        return owner
                    } catch is PasswordQueue.Busy {
                        return nil
                    }
                }
            }
            for _ in 0..<40 { add(1) }
            // One is worked on, two wait, the others are told.
            for _ in 0..<37 { #expect(try await group.next() == .some(nil)) }
            add(2)
            for _ in 0..<4 { gate.signal() }
            var served: [Int64] = []
            for _ in 0..<4 { if let owner = try await group.next() ?? nil { served.append(owner) } }
            #expect(served.sorted() == [1, 1, 1, 2])
        }
        try await queue.stop()
    }

    @Test func `a try that succeeded, or was not looked at, does not count, and earlier ones do`() {
        let throttle = LoginThrottle()
        let mine: [LoginThrottle.Subject] = [.address("a"), .name("mine")]
        for _ in 0..<100 {
            #expect(throttle.begin(mine, now: at(100)) == .allowed(after: .zero))
            throttle.takeBack(mine)
        }
        // Nine guesses, and a login to one's own account between each two of them.
        for _ in 0..<10 {
            #expect(throttle.begin([.address("a"), .name("root")], now: at(100)) == .allowed(after: .zero))
            if case .allowed = throttle.begin(mine, now: at(100)) { throttle.takeBack(mine) }
        }
        #expect(throttle.begin([.address("a"), .name("root")], now: at(100)) != .allowed(after: .zero))
    }

    @Test func `a throttle that is full keeps those who have to wait`() {
        let throttle = LoginThrottle(maximumEntries: 40)
        #expect(tries(throttle, [.address("guesser")], at(100)) == 10)
        for number in 0..<400 { _ = throttle.begin([.address("u\(number)")], now: at(100)) }
        #expect(throttle.begin([.address("guesser")], now: at(100)) == .refused(retryAfter: .seconds(20)))
    }

    @Test("audit 16: a /64 is one source, the machine itself and trusted proxies are none")
    func sources() {
        let proxies = TrustedProxies(["10.0.0.0/8"].compactMap { AddressRange($0) })
        func source(_ text: String) -> LoginSource { LoginSource(text, proxies: proxies) }
        #expect(source("2001:db8:1:2:3:4:5:6") == source("2001:db8:1:2:ffff::1"))
        #expect(source("2001:db8:1:2::1") != source("2001:db8:1:3::1"))
        #expect(source("192.0.2.1").text == "192.0.2.1" && source("192.0.2.1") != source("192.0.2.2"))
        #expect(source("::ffff:192.0.2.1") == source("192.0.2.1"))
        #expect(source("127.0.0.1").isShared && source("::1").isShared && source("10.9.9.9").isShared)
        #expect(!source("192.0.2.1").isShared && !source("").isShared)
    }

    // MARK: Passwords

    @Test func `passwords are checked in scrypt`() async throws {
        let hash = try await PasswordHasher.hash("secret-password")
        #expect(hash.hasPrefix("scrypt$") && !hash.contains("secret"))
        #expect(try await PasswordHasher.verify("secret-password", against: hash, lane: .stranger))
        #expect(try await !PasswordHasher.verify("other", against: hash, lane: .stranger))
        #expect(try await !PasswordHasher.verify("", against: nil, lane: .stranger))
        #expect(try await !PasswordHasher.verify("", against: "", lane: .known(owner: 1)))
    }

    @Test("audit 16: no more than so many passwords wait, one is worked on, and strangers keep nobody else waiting")
    func lanes() async throws {
        let queue = PasswordQueue(maximumWaiting: 3)
        let gate = DispatchSemaphore(value: 0)
        let order = Order()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            func add(_ lane: PasswordQueue.Lane, _ name: String) {
                group.addTask {
                    do {
                        try await queue.run(lane) {
                            gate.wait()
                            order.append(name)
                        }
                        return true
                    } catch is PasswordQueue.Busy {
                        return false
                    }
                }
            }
            for _ in 0..<10 { add(.stranger, "stranger") }
            // One is worked on, three wait, the others are told at once.
            var results: [Bool?] = []
            for _ in 0..<6 { results.append(try await group.next()) }
            #expect(results == Array(repeating: false, count: 6))
            for owner in 0..<6 { add(.known(owner: Int64(owner)), "known") }
            for _ in 0..<3 { #expect(try await group.next() == false) }
            for _ in 0..<7 { gate.signal() }
            for _ in 0..<7 { #expect(try await group.next() == true) }
        }
        #expect(order.names == ["stranger", "known", "known", "known", "stranger", "stranger", "stranger"])
        // And there is room again.
        gate.signal()
        try await queue.run(.stranger) { gate.wait() }
        try await queue.stop()
    }
}

private final class Order: Sendable {
    private let list = Mutex<[String]>([])
    func append(_ name: String) { list.withLock { $0.append(name) } }
    var names: [String] { list.withLock { $0 } }
}
