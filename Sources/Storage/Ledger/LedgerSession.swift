import RouterCore

/// The operations that differ between the databases, because only one of them has round trips and row locks.
protocol LedgerSession: SQLSession {
    /// Adds the rows of `logs` and `balance_transactions` for records that are not there yet, and moves the balances.
    /// - Parameter records: in the order of the ids of the accounts that pay.
    /// - Throws: ``SQLFailure``; `MoneyError` where a balance would leave the range of amounts.
    func insert(_ records: [RequestRecord], _ group: inout PostingGroup) throws
    /// Adds charges to what was spent in windows (`budget_usage`).
    func addSpending(_ records: [RequestRecord]) throws
    /// Adds to sums of the log.
    /// - Parameter rows: in the order of their keys.
    func add(_ rows: [(key: UsageRowKey, value: UsageSums)], to table: UsageTable) throws
    func spending(_ counters: [BudgetCounter]) throws -> [BudgetCounter: NanoUSD]
    /// Takes charges out of the holder's leases, in the transaction of their posting.
    func spendLeases(_ charges: [Int64: NanoUSD], _ holder: LeaseHolder) throws
    /// Balance and lease of users, as they are now.
    func leaseStates(_ users: Set<Int64>, _ holder: LeaseHolder) throws -> [Int64: LeaseState]
    /// A sign of life. - Returns: false when the life is fenced, or its leases were taken back.
    func beat(_ holder: LeaseHolder, now: Int64) throws -> Bool
    /// Recomputes all balances, and counts users and entries.
    func verifySums(_ report: inout LedgerReport) throws
}

extension LedgerSession {
    static var unknownUser: String { "the user does not exist" }

    func post(_ records: [RequestRecord], holder: LeaseHolder?) throws -> PostingResult {
        // Accounts in a fixed order, records of one account in the order of their settlement.
        let ordered = try withoutLetGo(records).enumerated()
            .sorted { ($0.element.payer, $0.offset) < ($1.element.payer, $1.offset) }.map(\.element)
        var group = PostingGroup()
        do {
            try savepoint { try insert(ordered, &group) }
        } catch let error where Self.isFaultOfRecord(error) {
            // One bad record must not hold up its neighbours.
            group = PostingGroup()
            for record in ordered { try postSingly(record, &group) }
        }
        try note(group.ranges)
        try noteEstimates(group.charged)
        try addSpending(group.charged)
        if let holder {
            if !group.result.charges.isEmpty { try spendLeases(group.result.charges, holder) }
            group.result.states = try leaseStates(Set(records.map(\.payer)), holder)
        }
        // Last: all gateways that share the ledger add to the same rows, and wait for each other from here to the end.
        try addSums(group.logged)
        return group.result
    }

    /// Sums of the log must not hold up charges: where a record's values are refused, it is left out, and `ledger verify` tells that.
    func addSums(_ records: [RequestRecord]) throws {
        guard !records.isEmpty else { return }
        do {
            try savepoint { try addUsage(records) }
        } catch let error where Self.isFaultOfRecord(error) {
            for record in records {
                do {
                    try savepoint { try addUsage([record]) }
                } catch let error where Self.isFaultOfRecord(error) {}
            }
        }
    }

    /// True when posting the same record again would fail again. Anything else (a busy or full disk) is a fault of the moment: it must
    /// reach the caller, who keeps the records and comes back, or charges would be lost.
    private static func isFaultOfRecord(_ error: any Error) -> Bool {
        error is MoneyError || (error as? SQLFailure)?.isFaultOfData == true
    }

    private func postSingly(_ record: RequestRecord, _ group: inout PostingGroup) throws {
        let before = group
        do {
            try savepoint { try insert([record], &group) }
        } catch let error where Self.isFaultOfRecord(error) {
            group = before
            try setAside(record, (error as? SQLFailure)?.message ?? "\(error)", &group)
        }
    }

    func setAside(_ record: RequestRecord, _ reason: String, _ group: inout PostingGroup) throws {
        try execute(
            "INSERT INTO poison_records (request_id, reason, record, created_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            [record.requestID.description, reason, RecordColumns.json(record), record.createdAt])
        group.result.setAside[record.requestID] = reason
    }
}
