import RouterCore
package import Storage

/// A question for charges and costs by one thing that is told apart, from the sums of the log.
package struct MarginQuery: Sendable {
    package enum Dimension: String, Sendable, CaseIterable { case model, channel, provider, day }

    private let dimension: Dimension
    private let query: UsageQuery

    /// - Parameters:
    ///   - from: Unix seconds, rounded down to a quarter hour.
    ///   - to: not in it, rounded up. Days are those of UTC.
    /// - Throws: ``TimeBuckets/Problem`` for times in the wrong order, and for too many days.
    package init(by dimension: Dimension, from: Int64, to: Int64, filter: UsageFilter = UsageFilter()) throws {
        self.dimension = dimension
        let buckets =
            dimension == .day
            ? try TimeBuckets(from: from, to: to, unit: .day, zone: "UTC").ranges : [try TimeBuckets.range(from: from, to: to)]
        query = UsageQuery(buckets, filter: filter, by: UsageDimension(rawValue: dimension.rawValue), isWhole: false)
    }

    /// The most days of one question.
    package static var mostDays: Int64 { Int64(TimeBuckets.most) }

    /// The highest charges first, days in their order. A day's key is its date.
    /// - Throws: ``StoreError``.
    package func rows(_ store: any UsageStore) async throws -> [UsageRow] {
        let rows = try await store.usage(query)
        guard dimension == .day else {
            return rows.sorted { ($1.sums.charge, $0.key) < ($0.sums.charge, $1.key) }
        }
        return rows.sorted { $0.bucket < $1.bucket }.map { row in
            var row = row
            row.key = CalendarDate(unixSeconds: query.buckets[row.bucket].lowerBound).description
            return row
        }
    }
}
