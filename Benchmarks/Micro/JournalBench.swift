import Dispatch
import Foundation
import RouterCore
import Storage
import Synchronization

/// A hold and its settlement in the journal, one request after the other: groups of one, the dearest case.
enum JournalBench {
    /// - Parameter requests: how many; the whole process is counted, so that valgrind sees the journal's own thread too. The cost of one is
    ///   the difference of two runs, divided.
    static func run(requests: Int) throws {
        // Not an asynchronous main: the library's loop on the main thread brings valgrind down.
        let failure = Mutex<(any Error)?>(nil)
        let done = DispatchSemaphore(value: 0)
        Task {
            do { try await append(requests) } catch { failure.withLock { $0 = error } }
            done.signal()
        }
        done.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }

    private static func append(_ requests: Int) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/microbench-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let journal = try await FileJournal.open(directory: folder)
        let time = try await ContinuousClock().measure {
            for number in 0..<requests {
                let id = RequestID(bits: UInt128(number + 1))
                try await journal.hold(
                    HoldRecord(
                        requestID: id, userID: 1, tokenID: 1, amount: NanoUSD(nanos: 1_000), model: "fast",
                        endpoint: .chat, isStream: false,
                        promptTokens: 250, promptCharge: NanoUSD(nanos: 100), pricingVersion: 1, clientIP: "127.0.0.1",
                        createdAt: 1_800_000_000))
                try await journal.settle(
                    RequestRecord(
                        requestID: id, userID: 1, tokenID: 1, channelID: 1, provider: "bench", model: "fast",
                        upstreamModel: "fast",
                        endpoint: .chat, usage: Usage(uncachedInput: 250, output: 200), usageSource: .upstream,
                        charge: NanoUSD(nanos: 700),
                        pricingVersion: 1, outcome: .completed, status: 200, isStream: false, attempts: 1,
                        latencyMilliseconds: 10,
                        clientIP: "127.0.0.1", createdAt: 1_800_000_000))
            }
        }
        try await journal.close()
        print(
            "| journal, hold and settle, groups of one | \(Int64(time / .nanoseconds(1)) / Int64(max(1, requests))) |")
    }
}
