import RouterCore

/// The results of a posting so far.
struct PostingGroup {
    var result = PostingResult()
    /// Records that have got their ledger row now.
    var charged: [RequestRecord] = []
    /// Records that have got their row of the log now, set aside or not.
    var logged: [RequestRecord] = []
    var ranges = RowRanges()

    mutating func log(_ record: RequestRecord, id: Int64) {
        logged.append(record)
        ranges.add(.log, id: id, createdAt: record.createdAt)
    }

    mutating func add(_ record: RequestRecord, _ charge: NanoUSD) throws {
        result.charges[record.payer] = try (result.charges[record.payer] ?? .zero).adding(charge)
        charged.append(record)
        result.added += 1
    }
}
