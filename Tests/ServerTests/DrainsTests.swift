import NIOCore
import NIOPosix
import RouterCore
import Synchronization
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Server

/// Calls that are read on for nobody, and their bounds.
@Suite struct DrainsTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    /// Numbers of the calls that were cut, in their order.
    private final class Cuts: Sendable {
        private let numbers = Mutex<[Int]>([])
        var all: [Int] { numbers.withLock { $0 } }
        func add(_ number: Int) { numbers.withLock { $0.append(number) } }
    }

    @Test("audit 2: as many are drained as may be; the oldest makes room for the newest")
    func number() {
        let drains = Drains()
        let cuts = Cuts()
        var ids: [UInt64?] = []
        for number in 0..<5 { ids.append(drains.begin(for: 1, limit: 3, timeout: .hours(1), on: loop) { cuts.add(number) }) }
        #expect(cuts.all == [0, 1])
        #expect(drains.statistics == Drains.Statistics(running: 3, ended: 0, outOfTime: 0, outOfRoom: 2))
        // One that ends makes room by itself; those that were cut have been counted.
        for id in [ids[3], ids[0], ids[0]] { if let id { drains.end(id) } }
        #expect(drains.statistics == Drains.Statistics(running: 2, ended: 1, outOfTime: 0, outOfRoom: 2))
        _ = drains.begin(for: 1, limit: 3, timeout: .hours(1), on: loop) { cuts.add(5) }
        #expect(cuts.all == [0, 1])
        _ = drains.begin(for: 1, limit: 3, timeout: .hours(1), on: loop) { cuts.add(6) }
        #expect(cuts.all == [0, 1, 2], "3 has ended, 2 was the oldest of the rest")
        for _ in 0..<500 {
            if let id = drains.begin(for: 1, limit: 3, timeout: .hours(1), on: loop, cut: {}) { drains.end(id) }
        }
        #expect(drains.statistics.running == 2)
    }

    @Test("audit 2: whoever crowds out answers crowds out his own")
    func users() {
        let drains = Drains()
        let cuts = Cuts()
        _ = drains.begin(for: 1, limit: 4, timeout: .hours(1), on: loop) { cuts.add(-1) }
        for number in 0..<20 { _ = drains.begin(for: 2, limit: 4, timeout: .hours(1), on: loop) { cuts.add(number) } }
        #expect(cuts.all == Array(0..<17), "the other user's one is there still")
        #expect(drains.statistics.running == 4)
    }

    @Test("audit 2: without any room every call is cut at once")
    func none() {
        let drains = Drains()
        let cuts = Cuts()
        #expect(drains.begin(for: 1, limit: 0, timeout: .hours(1), on: loop) { cuts.add(1) } == nil)
        #expect(
            cuts.all == [1] && drains.statistics == Drains.Statistics(running: 0, ended: 0, outOfTime: 0, outOfRoom: 1))
    }

    @Test("audit 2: a drain is over when its time is", .timeLimit(.minutes(10)))
    func time() async throws {
        let drains = Drains()
        await withCheckedContinuation { continuation in
            _ = drains.begin(for: 1, limit: 3, timeout: .milliseconds(10), on: loop) { continuation.resume() }
        }
        #expect(drains.statistics == Drains.Statistics(running: 0, ended: 0, outOfTime: 1, outOfRoom: 0))
    }

    @Test("audit 2: a connection's next request keeps its own action when an earlier one is cleared late")
    func presence() {
        let presence = ClientPresence()
        let (first, second) = (Cuts(), Cuts())
        presence.onGone(first) { first.add(1) }
        presence.onGone(second) { second.add(2) }
        presence.clear(first)
        presence.leave()
        #expect(first.all.isEmpty && second.all == [2])
        presence.onGone(first) { first.add(3) }
        #expect(first.all == [3], "gone already")
    }
}
