import Config
import Foundation
import RouterCore
import Testing

/// Configuration files that nobody meant: the loader says what is wrong or loads them, and never crashes. `FUZZ_SEED` repeats a run,
/// `FUZZ_SECONDS` makes it longer.
@Suite struct ConfigFuzzTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test(.timeLimit(.minutes(30))) func `damaged files are told about and never crash the loader`() throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0 ... .max)
        print("fuzz seed \(seed)")
        var rng = SplitMix64(seed: seed)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("config-fuzz-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["config", "providers"] {
            try FileManager.default.createDirectory(at: folder.appendingPathComponent(name), withIntermediateDirectories: true)
        }
        let files = ["config/gateway.yaml", "config/channels.yaml", "providers/deepseek.yaml", "providers/demo.yaml", "providers/xai.yaml"]
        let originals = try files.map { (name: $0, bytes: Array(try Data(contentsOf: Self.repository.appendingPathComponent($0)))) }
        let seconds = environment["FUZZ_SECONDS"].flatMap { Int64($0) } ?? 0
        let end = ContinuousClock.now + .seconds(seconds)
        var rounds = 0
        var loaded = 0
        while rounds < 250 || ContinuousClock.now < end {
            rounds += 1
            let victim = Int(rng.below(UInt64(files.count)))
            for (index, original) in originals.enumerated() {
                let bytes = index == victim ? damaged(original.bytes, &rng) : original.bytes
                try Data(bytes).write(to: folder.appendingPathComponent(original.name))
            }
            do {
                _ = try ConfigLoader(environment: ["OPENROUTER_API_KEY": "k"])
                    .load(path: folder.appendingPathComponent("config/gateway.yaml").path)
                loaded += 1
            } catch {
                #expect(!error.diagnostics.isEmpty, "seed \(seed), round \(rounds): an error without a word")
                #expect(error.diagnostics.count < 10_000, "seed \(seed), round \(rounds)")
            }
        }
        // Some damage is harmless (a comment), most is not: otherwise the test looks at nothing.
        #expect(loaded < rounds, "seed \(seed): \(loaded) of \(rounds) loaded")
    }

    private func damaged(_ original: [UInt8], _ rng: inout SplitMix64) -> [UInt8] {
        var bytes = original
        for _ in 0...Int(rng.below(3)) where !bytes.isEmpty {
            let place = Int(rng.below(UInt64(bytes.count)))
            switch rng.below(7) {
            case 0: bytes[place] = UInt8(rng.below(256))
            case 1: bytes.remove(at: place)
            case 2: bytes.insert(Array("{}[]:,&*!|>%@`\"'#-?\t\n\0".utf8)[Int(rng.below(22))], at: place)
            case 3: bytes.removeSubrange(place..<min(bytes.count, place + Int(rng.below(200))))
            case 4: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 40)], at: place)
            case 5: bytes.insert(contentsOf: Array("&a [*a, *a, 1e999, -0x7f, ~, ${X:-}, !!binary x]".utf8), at: place)
            default: bytes = Array(bytes.prefix(place))
            }
        }
        return bytes
    }
}
