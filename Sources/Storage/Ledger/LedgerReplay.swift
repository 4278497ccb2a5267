public import RouterCore

/// Gives a ledger that was restored from a backup what a gateway's journal files still know of: each request exactly once, because the
/// ledger skips what it has.
public struct LedgerReplay: Sendable {
    public struct Report: Sendable {
        public var files = 0
        /// Settlements in the files, each request once.
        public var read = 0
        public var posted = 0
        public var charged = NanoUSD.zero
        /// Why the ledger did not take a request, or must not be given it.
        public var setAside: [(id: RequestID, reason: String)] = []
        /// Recharges, refunds and corrections by hand that the files tell of and the ledger lacks.
        public var missingCredits: [LedgerEntry] = []
        /// Requests that were running when the files end; a gateway settles them at its start.
        public var running = 0
        /// Posted requests whose price version the ledger does not know; their rows say 0.
        public var withoutVersion = 0
        /// What of the files could not be read.
        public var notes: [String] = []

        public var alreadyThere: Int { read - posted - setAside.count }
        /// True when somebody has to look at something.
        public var leavesWork: Bool { !setAside.isEmpty || !missingCredits.isEmpty || running > 0 || !notes.isEmpty }
    }

    private let store: any Store
    private let users: [Int64: User]
    private let versions: [Int64: Int64]
    private var report = Report()
    private var seen: Set<RequestID> = []
    /// Users with requests in the files, posted now or earlier: a run that was cut is made good by the next.
    private var charged: Set<Int64> = []

    /// Records per transaction.
    private static let groupSize = 256
    /// Seconds by which the clocks of gateways may differ.
    private static let clockDifference: Int64 = 300

    /// - Parameters:
    ///   - folder: with `journal-….kept` and `journal-….log` files, which no gateway is using.
    ///   - store: opened so that no gateway spends from it meanwhile, where that can be had (SQLite).
    /// - Throws: ``StoreError``. What was posted until then stays; a second run goes on from there.
    public static func run(folder: String, into store: any Store) async throws -> Report {
        var archive = try JournalArchive(folder)
        var replay = LedgerReplay(
            store: store, users: Dictionary(try await store.allUsers().map { ($0.id, $0) }) { first, _ in first },
            versions: try await store.priceVersions())
        for name in archive.files {
            let contents = try archive.read(name)
            try await replay.take(contents)
        }
        replay.report.running = archive.running.count
        // A lease of before the backup knows nothing of what was charged since.
        try await store.dropLeases(of: replay.charged)
        return replay.report
    }

    private init(store: any Store, users: [Int64: User], versions: [Int64: Int64]) {
        self.store = store
        self.users = users
        self.versions = versions
    }

    private mutating func take(_ contents: JournalArchive.Contents) async throws {
        report.files += 1
        if contents.lostBytes > 0 { report.notes.append("\(contents.name): \(contents.lostBytes) bytes could not be read") }
        var group: [RequestRecord] = []
        for record in contents.settlements where seen.insert(record.requestID).inserted {
            report.read += 1
            charged.insert(record.payer)
            guard let fit = fitted(record) else { continue }
            group.append(fit)
            if group.count == Self.groupSize {
                try await post(group)
                group = []
            }
        }
        if !group.isEmpty { try await post(group) }
        for credit in contents.credits where try await store.entry(kind: credit.kind, referenceID: credit.referenceID) == nil {
            report.missingCredits.append(credit)
        }
    }

    /// The record as this ledger can have it.
    private mutating func fitted(_ record: RequestRecord) -> RequestRecord? {
        // Ids are given again after a restore: whoever has this one now may not be the one who asked.
        for id in Set([record.userID, record.payer]) {
            guard let user = users[id], user.createdAt > record.createdAt + Self.clockDifference else { continue }
            report.setAside.append((record.requestID, "user \(id) of this ledger is younger than the request"))
            return nil
        }
        if let account = record.accountID, let found = users[account], found.kind != .organization {
            report.setAside.append((record.requestID, "account \(account) of this ledger is no organization"))
            return nil
        }
        return record
    }

    private mutating func post(_ group: [RequestRecord]) async throws {
        var unknown = 0
        // The same goes for versions of prices. What a request was charged does not depend on them any more.
        let records = group.map { record -> RequestRecord in
            guard record.pricingVersion != 0, versions[record.pricingVersion].map({ $0 > record.createdAt }) ?? true else { return record }
            var changed = record
            changed.pricingVersion = 0
            unknown += 1
            return changed
        }
        let result = try await store.post(records, holder: nil)
        report.posted += result.added
        if result.added > 0 { report.withoutVersion += min(unknown, result.added) }
        for charge in result.charges.values { report.charged = try report.charged.adding(charge) }
        for (id, reason) in result.setAside.sorted(by: { $0.key < $1.key }) { report.setAside.append((id, reason)) }
    }
}
