import Foundation
import RouterCore
import Testing

/// Many gateways on one ledger, in virtual time: the real book and the real rules of leasing, against a model of the
/// database. With crashes, loops of restarts, copies of data folders, processes that are stopped and go on, partitions,
/// answers that are lost or come after the lease is over, servers that restart with another clock, clocks that drift
/// and jump, and money that is taken away by hand while it is leased. A failing run prints its seed; put it into
/// `replay` to see it alone.
@Suite struct LeaseSimulationTests {
    private static let replay: UInt64? = nil

    /// The seeds from 0 on.
    private static let runs: UInt64 =
        ProcessInfo.processInfo.environment["APIROUTER_LONG"] == "1" ? 10_000 : 2_000

    @Test("audit 4, 10: thousands of runs keep the money and the cap", .timeLimit(.minutes(10)))
    func manyRuns() throws {
        if let seed = Self.replay { return _ = try LeaseSimulation(seed: seed).run() }
        var saw: [LeaseSimulation.Case: Int] = [:]
        for seed in 0..<Self.runs {
            for name in try LeaseSimulation(seed: seed).run() { saw[name, default: 0] += 1 }
        }
        // The runs are only worth something when the hard cases happen in them.
        for name in LeaseSimulation.Case.allCases {
            #expect(saw[name, default: 0] > 50, "\(name) happened in \(saw[name, default: 0]) runs")
        }
    }

    // MARK: The observer

    private func life(_ beats: Int64, silence: Int64 = 0, isFenced: Bool = false) -> GatewayLife {
        GatewayLife(
            incarnation: "other", gatewayID: "g", beats: beats, isFenced: isFenced, lifetime: 120, startedAt: 0,
            seenAt: 0, silence: silence)
    }

    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }

    @Test func `audit 10: a ledger's clock that jumps ends no lease, silence does`() {
        var watch = LeaseWatch()
        #expect(watch.saw([life(1, silence: 100_000)], own: "me", asked: at(0), answered: at(1)).isEmpty)
        #expect(watch.othersAlive == 0, "but it does not count as alive")
        #expect(watch.saw([life(1, silence: 900_000)], own: "me", asked: at(120), answered: at(121)).isEmpty)
        // From the moment that it was seen, not from the question.
        #expect(watch.saw([life(1)], own: "me", asked: at(121), answered: at(122)).count == 1)
        // Any other number is a sign of life, also a smaller one: another server has taken over.
        #expect(watch.saw([life(0)], own: "me", asked: at(130), answered: at(131)).isEmpty)
        #expect(watch.othersAlive == 1)
        #expect(watch.saw([life(0)], own: "me", asked: at(145), answered: at(145)).isEmpty)
        #expect(watch.othersAlive == 0)
        #expect(watch.saw([life(0)], own: "other", asked: at(900), answered: at(900)).isEmpty, "oneself is not judged")
    }

    @Test
    func `leases are trusted for seconds while the ledger answers, and nearly for their lifetime while it does not`() {
        var trust = LeaseTrust()
        #expect(trust.until(lifetime: 120) < at(0))
        trust.heard(asked: at(100))
        trust.heard(asked: at(90))
        #expect(trust.until(lifetime: 120) == at(105))
        trust.isLedgerAway = true
        #expect(trust.until(lifetime: 120) == at(215))
        trust.lost()
        #expect(trust.until(lifetime: 120) < at(0))
    }
}

struct SimulationFailure: Error, CustomStringConvertible { var description: String }
