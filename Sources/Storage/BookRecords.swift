public import RouterCore

/// What became of a group of requests that was posted.
public struct PostingResult: Sendable {
    /// Charges newly posted, per user, as positive amounts.
    public var charges: [Int64: NanoUSD] = [:]
    /// Records that the database refused, kept apart with the reason (`poison_records`); their charges are in no balance.
    public var setAside: [RequestID: String] = [:]
    /// Records that were not there before and are now; those that are set aside do not count.
    public var added = 0
    /// Balance and lease of every user in the group, after the posting.
    public var states: [Int64: LeaseState] = [:]

    public init() {}
}

/// A row of `reconciliations`: a request that was charged by our own count.
public struct ReconciliationRow: Sendable, Hashable {
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// The vendor will be asked.
        case pending
        /// The vendor cannot be asked or did not know it: the estimate stands.
        case unresolved
        case resolved
    }
    public var requestID: RequestID
    public var userID: Int64
    public var channelID: Int64?
    public var provider: String
    public var model: String
    public var generationID: String?
    public var charge: NanoUSD
    public var state: State
    public var tries: Int
    /// Unix seconds.
    public var nextAt: Int64
    public var note: String
    public var createdAt: Int64

    public init(
        requestID: RequestID, userID: Int64, channelID: Int64?, provider: String, model: String, generationID: String?, charge: NanoUSD,
        state: State, tries: Int, nextAt: Int64, note: String, createdAt: Int64
    ) {
        self.requestID = requestID
        self.userID = userID
        self.channelID = channelID
        self.provider = provider
        self.model = model
        self.generationID = generationID
        self.charge = charge
        self.state = state
        self.tries = tries
        self.nextAt = nextAt
        self.note = note
        self.createdAt = createdAt
    }

    /// What posting an estimated charge writes: to be looked up in two seconds where the vendor gave an id, else never.
    static func of(_ record: RequestRecord) -> ReconciliationRow? {
        guard record.usageSource == .estimated, let charge = record.charge else { return nil }
        return ReconciliationRow(
            requestID: record.requestID, userID: record.userID, channelID: record.channelID, provider: record.provider,
            model: record.model, generationID: record.generationID, charge: charge,
            state: record.generationID == nil ? .unresolved : .pending, tries: 0, nextAt: record.createdAt + 2,
            note: record.generationID == nil ? "the vendor gave no id to ask for" : "", createdAt: record.createdAt)
    }
}

/// Charges and costs of one model on one channel.
public struct MarginRow: Sendable, Hashable {
    public var model: String
    public var channelID: Int64?
    public var requests: Int64
    public var charged: NanoUSD
    /// What the vendor said that it cost; requests without such a figure are counted in `unknownCost`.
    public var upstreamCost: NanoUSD
    public var unknownCost: Int64

    public init(model: String, channelID: Int64?, requests: Int64, charged: NanoUSD, upstreamCost: NanoUSD, unknownCost: Int64) {
        self.model = model
        self.channelID = channelID
        self.requests = requests
        self.charged = charged
        self.upstreamCost = upstreamCost
        self.unknownCost = unknownCost
    }
}

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

/// Corrections of charges, as ledger rows.
enum Correction {
    /// The reference of the `adjustment` that reconciles a request.
    static func reference(_ id: RequestID) -> String { "\(id):reconciled" }

    /// Why an estimate is not corrected any more.
    static let refunded = "the charge was refunded"

    static func description(_ id: RequestID, from old: NanoUSD, to new: NanoUSD) -> String {
        "reconciles \(id): estimated \(old), the vendor says \(new)"
    }

    /// What a refund may be, out of what the ledger has of a request.
    static func refundAmount(_ asked: NanoUSD?, charged: NanoUSD, reference: String) throws -> NanoUSD {
        let amount = asked ?? charged
        guard amount.isPositive else { throw StoreError.conflict("nothing of '\(reference)' can be refunded") }
        guard amount <= charged else {
            throw StoreError.conflict("'\(reference)' was charged \(charged); a refund of \(amount) is more than that")
        }
        return amount
    }
}

/// What a posting has done so far.
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
