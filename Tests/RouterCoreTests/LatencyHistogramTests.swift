import RouterCore
import Testing

struct LatencyHistogramTests {
    @Test func `classes grow by the root of two, and every duration is in one`() {
        let bounds = LatencyHistogram.bounds
        for (lower, upper) in zip(bounds, bounds.dropFirst()) {
            #expect(abs(upper * upper - 2 * lower * lower) <= 4 * lower, "\(lower), \(upper)")
        }
        for (index, bound) in bounds.enumerated() {
            var histogram = LatencyHistogram()
            histogram.add(milliseconds: bound - 1)
            histogram.add(milliseconds: bound)
            #expect(histogram.counts[index] == 1 && histogram.counts[index + 1] == 1 && histogram.count == 2)
        }
        var ends = LatencyHistogram()
        ends.add(milliseconds: 0)
        ends.add(milliseconds: .max)
        #expect(ends.counts.first == 1 && ends.counts.last == 1)
    }

    @Test func `percentiles are those of the durations, a few per cent off`() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(50) == nil)
        // Evenly, up to the end of a class.
        for milliseconds in Int64(0)..<8_192 { histogram.add(milliseconds: milliseconds) }
        for percent in [Int64(1), 10, 50, 90, 95, 99] {
            let (found, right) = (histogram.percentile(percent) ?? 0, 8_192 * percent / 100)
            #expect(abs(found - right) <= 10, "\(percent)%: \(found)")
        }
    }

    @Test func `one duration is every percentile, within its class`() {
        var histogram = LatencyHistogram()
        histogram.add(milliseconds: 700)
        for percent in [Int64(1), 50, 100] { #expect(histogram.percentile(percent) == 618) }
        var two = histogram
        two.add(histogram)
        #expect(two.count == 2 && two.percentile(50).map { (512..<724).contains($0) } == true)
        two.add(milliseconds: 20_000)
        #expect(two.percentile(50).map { $0 < 724 } == true && two.percentile(100).map { $0 >= 16_384 } == true)
    }

    @Test func `great counts do not overflow`() {
        var counts = Array(repeating: Int64(0), count: LatencyHistogram.classes)
        counts[3] = 1 << 40
        counts[27] = 1 << 40
        let histogram = LatencyHistogram(counts: counts)
        #expect(histogram.percentile(50) == 90 && histogram.percentile(100).map { $0 > 500_000 } == true)
    }
}
