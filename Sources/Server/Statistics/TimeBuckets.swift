import Foundation

/// Stretches of time of a calendar: quarter hours, hours, days and months as they are in a time zone, however long they are there.
struct TimeBuckets: Sendable {
    enum Unit: String, Sendable, CaseIterable { case quarter, hour, day, month }

    /// Why there are no such stretches.
    enum Problem: Error, Hashable {
        case unknownZone
        case order
        case tooMany
        /// A time of day of the zone is not at a quarter hour of UTC: before zones were regulated.
        case oddZone
    }

    /// The most that one answer has.
    static let most = 2_000
    static let quarter: Int64 = 900

    /// Whole quarter hours that contain the time asked for.
    let range: Range<Int64>
    /// In order and without gaps; the first and the last may be parts of their unit.
    let ranges: [Range<Int64>]

    /// - Parameters:
    ///   - from: Unix seconds.
    ///   - to: not in it.
    ///   - zone: an IANA name such as `Europe/Berlin`.
    init(from: Int64, to: Int64, unit: Unit, zone name: String) throws(Problem) {
        range = try Self.range(from: from, to: to)
        guard let zone = Self.zone(name) else { throw .unknownZone }
        var edges = [range.lowerBound]
        while let edge = edges.last, edge < range.upperBound {
            guard edges.count <= Self.most else { throw .tooMany }
            edges.append(min(try Self.next(after: edge, unit, zone), range.upperBound))
        }
        ranges = zip(edges, edges.dropFirst()).map { $0..<$1 }
    }

    static func range(from: Int64, to: Int64) throws(Problem) -> Range<Int64> {
        guard from >= 0, from < to, to <= endOfTime else { throw .order }
        return from - from % quarter..<(to + quarter - 1) / quarter * quarter
    }

    /// The year 9999.
    private static let endOfTime: Int64 = 253_402_300_800

    private static func zone(_ name: String) -> TimeZone? {
        // Offsets and abbreviations are no time zones: days of `CET` have no summer in some tables and have one in others.
        guard name == "UTC" || name.contains("/"), name.utf8.count <= 64 else { return nil }
        // A name is a path to Foundation.
        let isName = name.utf8.allSatisfy { byte in
            (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || "_+-/".utf8.contains(byte)
        }
        guard isName else { return nil }
        return TimeZone(identifier: name)
    }

    /// Where the unit after the one of a time begins.
    private static func next(after edge: Int64, _ unit: Unit, _ zone: TimeZone) throws(Problem) -> Int64 {
        guard unit != .quarter else { return edge + quarter }
        // No unit is shorter than its jump: no clock is put forward by more than two hours, and a day that was left out (Samoa, 2011) makes
        // the one before it no shorter.
        let (jump, stride): (Int64, Int64) =
            switch unit {
            case .quarter, .hour: (quarter, quarter)
            case .day: (20 * 3_600, 3_600)
            case .month: (27 * 86_400, 6 * 3_600)
            }
        let current = number(edge, unit, zone)
        var (same, other) = (edge, edge + jump)
        // In the middle of a unit the jump may be too far.
        if number(other, unit, zone) != current { other = edge + stride }
        while number(other, unit, zone) == current {
            same = other
            other += stride
        }
        // In between, one quarter hour after the other.
        other = same + quarter
        while number(other, unit, zone) == current { other += quarter }
        guard number(other - 1, unit, zone) == current else { throw .oddZone }
        return other
    }

    /// The number of the unit that a time is in, by the clocks of the zone.
    private static func number(_ seconds: Int64, _ unit: Unit, _ zone: TimeZone) -> Int64 {
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: TimeInterval(seconds)))
        let local = seconds + Int64(offset)
        let day = floor(local, 86_400)
        return switch unit {
        case .quarter: floor(local, quarter)
        case .hour: floor(local, 3_600)
        case .day: day
        case .month: month(ofDay: day)
        }
    }

    private static func floor(_ value: Int64, _ divisor: Int64) -> Int64 {
        value >= 0 ? value / divisor : (value - divisor + 1) / divisor
    }

    /// Months since the year 0, by the calendar's arithmetic (https://howardhinnant.github.io/date_algorithms.html, civil_from_days).
    private static func month(ofDay day: Int64) -> Int64 {
        let shifted = day + 719_468
        let era = floor(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Counted from March.
        let march = (5 * dayOfYear + 2) / 153
        return (yearOfEra + era * 400) * 12 + march
    }
}
