import Foundation
import Testing

@testable import Server

/// Hours, days and months as the clocks of a zone have them.
struct TimeBucketsTests {
    /// Unix seconds of a time of UTC.
    private static func utc(_ text: String) throws -> Int64 {
        Int64(try Date(text + "Z", strategy: .iso8601).timeIntervalSince1970)
    }

    private static func starts(_ from: String, _ to: String, _ unit: TimeBuckets.Unit, _ zone: String) throws -> [Int64] {
        let buckets = try TimeBuckets(from: utc(from), to: utc(to), unit: unit, zone: zone)
        // Without gaps, and neither more nor less than asked for.
        #expect(zip(buckets.ranges, buckets.ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        #expect(buckets.ranges.first?.lowerBound == buckets.range.lowerBound && buckets.ranges.last?.upperBound == buckets.range.upperBound)
        return buckets.ranges.map(\.lowerBound)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String { "\(unit) \(zone) \(from)" }
        var from: String
        var to: String
        var unit: TimeBuckets.Unit
        var zone: String
        /// Where the buckets begin, in UTC.
        var starts: [String]
    }

    static let rows = [
        Row(
            from: "2026-11-25T00:00:00", to: "2026-11-27T00:00:00", unit: .day, zone: "UTC",
            starts: ["2026-11-25T00:00:00", "2026-11-26T00:00:00"]),
        // Berlin goes back to standard time on 25 October: that day has 25 hours.
        Row(
            from: "2026-10-23T22:00:00", to: "2026-10-26T23:00:00", unit: .day, zone: "Europe/Berlin",
            starts: ["2026-10-23T22:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"]),
        // And on to summer time on 29 March: 23 hours.
        Row(
            from: "2026-03-28T23:00:00", to: "2026-03-30T22:00:00", unit: .day, zone: "Europe/Berlin",
            starts: ["2026-03-28T23:00:00", "2026-03-29T22:00:00"]),
        Row(
            from: "2026-11-25T18:30:00", to: "2026-11-27T18:30:00", unit: .day, zone: "Asia/Kolkata",
            starts: ["2026-11-25T18:30:00", "2026-11-26T18:30:00"]),
        Row(
            from: "2026-11-25T18:00:00", to: "2026-11-25T20:00:00", unit: .hour, zone: "Asia/Kathmandu",
            starts: ["2026-11-25T18:00:00", "2026-11-25T18:15:00", "2026-11-25T19:15:00"]),
        // Clocks of Lord Howe Island are put back by half an hour, from 02:00 to 01:30: the hour from one to two lasts ninety minutes.
        Row(
            from: "2026-04-04T13:00:00", to: "2026-04-04T17:30:00", unit: .hour, zone: "Australia/Lord_Howe",
            starts: ["2026-04-04T13:00:00", "2026-04-04T14:00:00", "2026-04-04T15:30:00", "2026-04-04T16:30:00"]),
        // Samoa went over the date line: there was no 30 December 2011.
        Row(
            from: "2011-12-29T10:00:00", to: "2011-12-31T10:00:00", unit: .day, zone: "Pacific/Apia",
            starts: ["2011-12-29T10:00:00", "2011-12-30T10:00:00"]),
        // Clocks in Havana are put forward at midnight: 8 March begins at one.
        Row(
            from: "2026-03-07T05:00:00", to: "2026-03-09T04:00:00", unit: .day, zone: "America/Havana",
            starts: ["2026-03-07T05:00:00", "2026-03-08T05:00:00"]),
        Row(
            from: "2026-01-31T23:00:00", to: "2026-04-30T22:00:00", unit: .month, zone: "Europe/Berlin",
            starts: ["2026-01-31T23:00:00", "2026-02-28T23:00:00", "2026-03-31T22:00:00"]),
        // In the middle of a month, and only as many whole quarter hours as are needed.
        Row(
            from: "2026-02-27T10:07:00", to: "2026-03-01T00:01:00", unit: .month, zone: "UTC",
            starts: ["2026-02-27T10:00:00", "2026-03-01T00:00:00"]),
        Row(
            from: "2026-02-27T10:07:00", to: "2026-02-27T10:31:00", unit: .quarter, zone: "UTC",
            starts: ["2026-02-27T10:00:00", "2026-02-27T10:15:00", "2026-02-27T10:30:00"]),
    ]

    @Test(arguments: rows) func `buckets begin where the clocks of the zone say`(_ row: Row) throws {
        #expect(try Self.starts(row.from, row.to, row.unit, row.zone) == row.starts.map(Self.utc))
    }

    /// Against Foundation's own calendar.
    @Test(arguments: [
        "Europe/London", "America/St_Johns", "Australia/Lord_Howe", "Asia/Tehran", "Africa/Cairo", "Pacific/Chatham", "America/Santiago",
    ])
    func `days of years are those of the calendar`(_ zone: String) throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: zone))
        let (from, to) = (try Self.utc("2024-01-01T00:00:00"), try Self.utc("2027-01-01T00:00:00"))
        for (unit, component) in [(TimeBuckets.Unit.day, Calendar.Component.day), (.month, .month)] {
            let found = try TimeBuckets(from: from, to: to, unit: unit, zone: zone).ranges.dropFirst().map(\.lowerBound)
            #expect(found.count == (unit == .day ? 1_096 : 36) || found.count == (unit == .day ? 1_095 : 35))
            for start in found {
                let date = Date(timeIntervalSince1970: TimeInterval(start))
                #expect(calendar.dateInterval(of: component, for: date)?.start == date, "\(unit) \(date)")
            }
        }
    }

    @Test func `what there is no answer to is refused`() throws {
        func problem(_ from: Int64, _ to: Int64, _ unit: TimeBuckets.Unit, _ zone: String) -> TimeBuckets.Problem? {
            do throws(TimeBuckets.Problem) {
                _ = try TimeBuckets(from: from, to: to, unit: unit, zone: zone)
                return nil
            } catch { return error }
        }
        #expect(problem(0, 2_000 * 900, .quarter, "UTC") == nil)
        #expect(problem(0, 2_000 * 900 + 1, .quarter, "UTC") == .tooMany)
        #expect(problem(5, 5, .day, "UTC") == .order && problem(-1, 5, .day, "UTC") == .order && problem(0, .max, .month, "UTC") == .order)
        for name in ["", "Berlin", "Europe/Nowhere", "CET", "+01:00", "GMT+0107", "Europe/Berlin\u{0}", "../../etc/passwd"] {
            #expect(problem(0, 86_400, .day, name) == .unknownZone, "\(name)")
        }
        // Liberia's clocks were 44 minutes and 30 seconds behind until 1972.
        #expect(problem(0, 86_400 * 3, .day, "Africa/Monrovia") == .oddZone)
    }
}
