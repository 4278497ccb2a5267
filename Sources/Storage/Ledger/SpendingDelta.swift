import RouterCore

/// Spending by window that a group of charges adds up to.
enum SpendingDelta {
    /// Sums stay at the end of the range: a counter must not hold up the posting of charges.
    static func sum(_ charged: [RequestRecord]) -> [(counter: BudgetCounter, amount: NanoUSD)] {
        var sums: [BudgetCounter: NanoUSD] = [:]
        for record in charged {
            guard let charge = record.charge, charge.isPositive else { continue }
            for counter in BudgetCounter.all(record, tokenID: record.tokenID, at: record.createdAt) {
                sums[counter] = (try? (sums[counter] ?? .zero).adding(charge)) ?? .max
            }
        }
        return sums.map { ($0.key, $0.value) }.sorted { ($0.0.scope.description, $0.0.window) < ($1.0.scope.description, $1.0.window) }
    }
}

extension BudgetCounter {
    /// From a row of `budget_usage`.
    init?(subject: String, window: Int64) {
        let parts = subject.split(separator: ":")
        let ids = parts.dropFirst().compactMap { Int64($0) }
        switch (parts.first, ids.count, parts.count) {
        case ("key", 1, 2): self.init(scope: .key(ids[0]), window: window)
        case ("user", 1, 2): self.init(scope: .user(ids[0]), window: window)
        case ("organization", 1, 2): self.init(scope: .organization(ids[0]), window: window)
        case ("member", 2, 3): self.init(scope: .member(organization: ids[0], user: ids[1]), window: window)
        default: return nil
        }
    }
}
