import RouterCore

/// Spending by window that a group of charges adds up to.
enum SpendingDelta {
    /// Sums stay at the end of the range: a counter must not hold up the posting of charges.
    static func sum(_ charged: [RequestRecord]) -> [(counter: BudgetCounter, amount: NanoUSD)] {
        var sums: [BudgetCounter: NanoUSD] = [:]
        for record in charged {
            guard let charge = record.charge, charge.isPositive else { continue }
            for counter in BudgetCounter.all(userID: record.userID, tokenID: record.tokenID, at: record.createdAt) {
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
        guard parts.count == 2, let id = Int64(parts[1]) else { return nil }
        switch parts[0] {
        case "key": self.init(scope: .key(id), window: window)
        case "user": self.init(scope: .user(id), window: window)
        default: return nil
        }
    }
}
