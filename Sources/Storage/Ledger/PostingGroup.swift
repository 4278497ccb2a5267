import RouterCore

/// The results of a posting so far.
struct PostingGroup {
    var result = PostingResult()
    /// Records that have got their ledger row now.
    var charged: [RequestRecord] = []

    mutating func add(_ record: RequestRecord, _ charge: NanoUSD) throws {
        result.charges[record.userID] = try (result.charges[record.userID] ?? .zero).adding(charge)
        charged.append(record)
        result.added += 1
    }
}
