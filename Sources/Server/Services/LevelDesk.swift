import Config
import GatewayState
import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// The levels in force, and what has to happen when an account has reached one: its keys get the new group's prices and limits.
struct LevelDesk: Sendable {
    let store: any LevelStore & UserStore
    let snapshots: SnapshotHolder
    let keys: KeyDirectory
    let keyChanges: AsyncGate

    /// In the order of their amounts; empty = there are none.
    var table: [AccountLevel] { snapshots.snapshot.configuration.levels }

    /// After a recharge, which has moved the account in its own transaction. The money is in the ledger, so nothing is thrown: other
    /// gateways hear of the new group from the database, and this one at its next look at the account.
    func recharged(_ accountID: Int64) async {
        guard !table.isEmpty else { return }
        try? await keyChanges.run {
            if let user = try await store.user(id: accountID) { keys.upsert(user) }
        }
    }

    /// Moves an account to the level that it has reached.
    /// - Returns: the account as it is now; nil when nothing has changed.
    /// - Throws: ``StoreError``.
    func promote(_ accountID: Int64, now: Int64) async throws -> User? {
        let levels = table
        guard !levels.isEmpty else { return nil }
        return try await keyChanges.run {
            guard let user = try await store.promote(accountID: accountID, levels: levels, now: now) else { return nil }
            keys.upsert(user)
            return user
        }
    }
}

/// Moves accounts to the levels that they have reached already when the table of levels is new: at the start, and after a reload. Once by
/// all gateways together, because the ledger's database remembers the table.
struct LevelKeeper: Service {
    let desk: LevelDesk
    let store: any LevelStore & SettingStore
    let clock: ServerClock
    let logger: Logger

    private static let interval = Duration.seconds(5)
    private static let setting = "levels.applied"
    /// Accounts that are looked at in one go.
    private static let portion = 200

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var applied: [AccountLevel]?
            while !Task.isCancelled {
                let table = desk.table
                if table != applied {
                    do {
                        try await apply(table)
                        applied = table
                    } catch {
                        logger.warning("levels could not be applied; it is tried again", metadata: ["error": "\(error)"])
                    }
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// - Throws: ``StoreError``; the next call begins anew.
    func apply(_ table: [AccountLevel]) async throws {
        let text = JSONValue.array(
            table.map { .array([.string($0.name), .integer($0.atLeast.nanos), .string($0.group)]) }
        ).text
        let last = try await store.setting(Self.setting)
        guard let lowest = table.first else {
            // A table that comes back later is new.
            if last?.isEmpty == false { try await store.setSetting(Self.setting, "") }
            return
        }
        guard last != text else { return }
        var (place, moved) = (Int64(0), 0)
        while true {
            let accounts = try await store.accountsRecharged(atLeast: lowest.atLeast, after: place, limit: Self.portion)
            for account in accounts where try await desk.promote(account, now: clock.unixSeconds) != nil { moved += 1 }
            guard let end = accounts.last, accounts.count == Self.portion else { break }
            place = end
        }
        // Meanwhile the table may have changed again; then this is done again.
        guard desk.table == table else { return }
        try await store.setSetting(Self.setting, text)
        if moved > 0 { logger.notice("accounts have got the groups of their levels", metadata: ["accounts": "\(moved)"]) }
    }
}
