/// How many durations fell into each of 28 classes, whose bounds grow by the square root of two: enough for percentiles that are a few per
/// cent off, and small enough to be kept for every quarter hour.
public struct LatencyHistogram: Sendable, Hashable {
    /// Milliseconds from which the classes 1 to 27 begin; the class 0 begins at zero, the last has no end.
    public static let bounds: [Int64] = [
        32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1_024, 1_448, 2_048, 2_896, 4_096, 5_793, 8_192, 11_585, 16_384, 23_170, 32_768,
        46_341, 65_536, 92_682, 131_072, 185_364, 262_144,
    ]
    public static let classes = bounds.count + 1

    /// By class; negative where this is a difference.
    public private(set) var counts: [Int64]

    public init() { counts = Array(repeating: 0, count: Self.classes) }

    /// - Parameter counts: one for each class.
    public init(counts: [Int64]) {
        precondition(counts.count == Self.classes)
        self.counts = counts
    }

    public mutating func add(milliseconds: Int64) {
        counts[Self.bounds.firstIndex { milliseconds < $0 } ?? Self.bounds.count] += 1
    }

    public mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    public var count: Int64 { counts.reduce(0, +) }

    /// The duration that this many per cent of the counted ones do not exceed, in milliseconds, as if those of a class were spread evenly
    /// over it; nil where nothing was counted.
    public func percentile(_ percent: Int64) -> Int64? {
        let all = count
        guard all > 0 else { return nil }
        // Rounded up: the median of three is the second.
        var rank = max(1, (all.multipliedFullWidth(by: percent).low + 99) / 100)
        for (index, inside) in counts.enumerated() where inside > 0 {
            let wanted = UInt64(inside)
            if rank > wanted {
                rank -= wanted
                continue
            }
            let lower = index == 0 ? 0 : Self.bounds[index - 1]
            let upper = index < Self.bounds.count ? Self.bounds[index] : 2 * lower
            return lower + Int64(UInt64(upper - lower) * (2 * rank - 1) / (2 * wanted))
        }
        return nil
    }
}
