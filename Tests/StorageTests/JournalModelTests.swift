import Foundation
import RouterCore
import Testing

@testable import Storage

/// Random operations, stops, kills and broken ends against a plain model of what must be there.
@Suite(.timeLimit(.minutes(10)))
struct JournalModelTests {
    /// Seeds that once failed stay here; `ROUTER_SEED` runs one alone.
    static let seeds: [UInt64] = {
        if let text = ProcessInfo.processInfo.environment["ROUTER_SEED"], let seed = UInt64(text) { return [seed] }
        return Array(1...6) + [13_848_187_320_058_721_421] + (0..<6).map { _ in UInt64.random(in: 0 ... .max) }
    }()

    private struct Model: Equatable {
        var holds: [Int: Int64?] = [:]
        var settled: [Int] = []

        mutating func hold(_ id: Int) { if !settled.contains(id), holds[id] == nil { holds[id] = .some(nil) } }
        mutating func progress(_ id: Int, _ tokens: Int64) { if holds[id] != nil { holds[id] = tokens } }
        mutating func settle(_ id: Int) {
            guard !settled.contains(id) else { return }
            holds[id] = nil
            settled.append(id)
        }
        mutating func clear(_ ids: [Int]) {
            settled.removeAll { ids.contains($0) }
            for id in ids { holds[id] = nil }
        }
    }

    private struct Run {
        var folder: TemporaryFolder
        var journal: FileJournal
        var model = Model()
        /// Before the last change, and the files then.
        var earlier = Model()
        var earlierFiles: [String: Int] = [:]
        var random: SplitMix64
        var segmentBytes: Int

        init(_ seed: UInt64) throws {
            random = SplitMix64(state: seed)
            folder = try TemporaryFolder()
            segmentBytes = 600 + random.below(6_000)
            journal = try openJournal(folder, segmentBytes: segmentBytes)
        }

        func files() throws -> [String: Int] {
            // One that is being removed may be gone by now.
            var sizes: [String: Int] = [:]
            for name in try folder.journalFiles() { sizes[name] = try? fileSize(folder.path + "/" + name) }
            return sizes
        }
    }

    /// The seed is the argument, so that a failure names it.
    @Test(arguments: seeds) func `the journal is what the model says`(_ seed: UInt64) async throws {
        var run = try Run(seed)
        for step in 0..<1_500 {
            switch run.random.below(60) {
            case 0: try await reopen(&run, isCut: false)
            case 1...3: try await reopen(&run, isCut: true)
            case 4: try await compare(run, "seed \(seed), step \(step)")
            default: try await change(&run)
            }
        }
        try await reopen(&run, isCut: false)
        try await compare(run, "seed \(seed), at the end")
        try await run.journal.close()
    }

    private func change(_ run: inout Run) async throws {
        run.earlier = run.model
        run.earlierFiles = try run.files()
        // Few ids, so that everything happens to a request in every order. Some are held for long.
        let id = run.random.below(10) == 0 ? 1_000 + run.random.below(5) : run.random.below(60)
        let isLong = id >= 1_000 && run.random.below(20) > 0
        switch run.random.below(10) {
        case 0...2:
            try await run.journal.hold(hold(id))
            run.model.hold(id)
        case 3, 4:
            let tokens = Int64(run.random.below(1_000_000))
            run.journal.progress(progress(id, tokens))
            run.model.progress(id, tokens)
            // Nobody waits for it; whoever reads comes behind it.
            _ = try await run.journal.settled(limit: 0)
        case 5...7 where !isLong:
            try await run.journal.settle(record(id, user: Int64(id), charge: Int64(id)))
            run.model.settle(id)
        case 8, 9:
            // Mostly the oldest, as the poster does it.
            var ids = Array(run.model.settled.prefix(run.random.below(12)))
            if run.random.below(4) == 0 { ids = run.model.settled.filter { _ in run.random.below(3) == 0 } + [2_000] }
            try await run.journal.clear(ids.map { RequestID(bits: UInt128($0)) })
            run.model.clear(ids)
        default: break
        }
    }

    /// A new life. The last write of the one before may have been cut by a kill.
    private func reopen(_ run: inout Run, isCut: Bool) async throws {
        try await run.journal.close()
        // Now that files that were given up are gone.
        let after = try run.files()
        // Only a change that was one write to one file has an end that can be missing.
        if isCut, let last = after.keys.max(), after.keys.sorted() == run.earlierFiles.keys.sorted(), let before = run.earlierFiles[last],
            let size = after[last], size > before + 1, run.earlierFiles.filter({ $0.key != last }) == after.filter({ $0.key != last })
        {
            try cut(run.folder.path + "/" + last, to: before + run.random.below(size - before))
            run.model = run.earlier
        }
        let durability: JournalDurability = run.random.below(4) == 0 ? .power : .process
        if run.random.below(5) == 0 { run.segmentBytes = 600 + run.random.below(6_000) }
        run.journal = try openJournal(run.folder, durability, segmentBytes: run.segmentBytes)
        run.earlier = run.model
        run.earlierFiles = [:]
        try await compare(run, "after a start")
    }

    private func compare(_ run: Run, _ what: String) async throws {
        #expect(
            try await run.journal.settled(limit: 9_999) == run.model.settled.map { record($0, user: Int64($0), charge: Int64($0)) },
            "\(what)")
        let orphans = try await run.journal.orphans()
        #expect(orphans.map(\.hold) == run.model.holds.keys.sorted().map { hold($0) }, "\(what)")
        #expect(
            orphans.map(\.progress) == run.model.holds.sorted { $0.key < $1.key }.map { id, tokens in tokens.map { progress(id, $0) } },
            "\(what)")
    }

    @Test(arguments: [JournalDurability.process, .power])
    func `many at once, again and again`(_ durability: JournalDurability) async throws {
        let folder = try TemporaryFolder()
        for life in 0..<3 {
            let journal = try openJournal(folder, durability, segmentBytes: 20_000)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for caller in 0..<32 {
                    group.addTask {
                        for number in 0..<20 {
                            let id = life * 10_000 + caller * 100 + number
                            try await journal.hold(hold(id))
                            journal.progress(progress(id, 1))
                            if number % 5 != 0 { try await journal.settle(record(id, user: 1, charge: 1)) }
                        }
                    }
                }
                // The poster beside them.
                group.addTask {
                    for _ in 0..<20 { try await journal.clear(try await journal.settled(limit: 10).map(\.requestID)) }
                }
                try await group.waitForAll()
            }
            #expect(try await journal.orphans().count == (life + 1) * 32 * 4)
            let settled = try await journal.settled(limit: 99_999).map(\.requestID)
            #expect(Set(settled).count == settled.count && settled.count >= 32 * 16 - 200 && settled.count <= 32 * 16)
            try await journal.clear(settled)
            try await journal.close()
        }
    }
}
