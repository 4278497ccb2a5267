import Config
import GatewayState
import Logging
import Metering
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Applies changes by other gateways on the same database to this gateway's memory: keys, users, prices, channels, their switches, and
/// requests for leased money.
struct ChangeWatcher: Service {
    let store: any ChangeFeed & UserStore & TokenStore & OrganizationStore & AdminStore
    let snapshots: SnapshotHolder
    let health: HealthRegistry
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let tokenLookups: TokenLookups
    let meter: Meter
    let reloader: ConfigurationReloader
    let logger: Logger

    func run() async throws {
        guard let changes = store.changes() else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            for await batch in changes {
                // All prices are read at once, however many have changed: a sync changes hundreds.
                let changes = batch.map { $0.topic == .prices ? StoreChange(topic: .prices, subject: "") : $0 }
                await self.apply(Set(changes))
            }
        }
    }

    /// The feed reports each change once, so reading it is retried after a failure: a key that was revoked elsewhere must not remain valid
    /// here. The retries last longer than the pool's delay after a failure; if the database was unreachable for longer, the feed has lost
    /// its connection too and reports everything again. Further changes wait in the feed.
    private func apply(_ changes: Set<StoreChange>) async {
        var left = changes
        for _ in 0..<Self.tries where !Task.isCancelled && !left.isEmpty {
            for change in left {
                do {
                    try await take(change)
                    left.remove(change)
                } catch {
                    logger.warning(
                        "a change made elsewhere could not be read; it is tried again",
                        metadata: ["topic": "\(change.topic)", "error": "\(error)"])
                }
            }
            if !left.isEmpty { try? await Task.sleep(for: Self.retry) }
        }
    }

    private static let retry = Duration.seconds(1)
    private static let tries = 15

    private func take(_ change: StoreChange) async throws {
        let id = change.subject.split(separator: " ").first.flatMap { Int64($0) } ?? 0
        // The feed also reports this gateway's own requests.
        let isOurs = change.subject.hasSuffix(" " + meter.holder.incarnation)
        switch change.topic {
        case .users:
            try await keyChanges.run {
                if let user = try await store.user(id: id) { keys.upsert(user) } else { keys.remove(userID: id) }
            }
        case .tokens:
            try await keyChanges.run {
                if let token = try await store.token(id: id) {
                    keys.upsert(token)
                } else {
                    keys.remove(tokenID: id)
                }
            }
        case .memberships:
            guard let user = change.subject.split(separator: " ").last.flatMap({ Int64($0) }) else { return }
            try await keyChanges.run { keys.setMembership(id, userID: user, try await store.membership(id, userID: user)) }
        case .accessTokens: tokenLookups.forgetUnknown()
        case .endedTokens: closeSessions(change.subject)
        // A model of a vendor's list may have been waiting for its first price.
        case .prices: try await reloader.catalogueChanged()
        case .settings:
            if change.subject.hasPrefix(Catalogue.settingPrefix) {
                try await reloader.catalogueChanged()
            } else if let channel = ChannelSwitches.channelID(setting: change.subject) {
                try await readSwitches(channel)
            }
        case .channels: try await readConsole()
        case .recall: if !isOurs { try await meter.recall(id) }
        case .freed: if !isOurs { meter.wake(id) }
        case .everything:
            try await keyChanges.run {
                keys.load(
                    users: try await store.allUsers(), tokens: try await store.allTokens(), memberships: try await store.allMemberships())
            }
            tokenLookups.forgetUnknown()
            try await readConsole()
            try await reloader.catalogueChanged()
            try await readSwitches()
        }
    }

    /// While files have errors nothing is taken up; the reload that finds them mended reads the console as well.
    private func readConsole() async throws {
        do { try await reloader.consoleChanged() } catch is ConfigErrors {}
    }

    /// A session that has ended elsewhere is not open for model calls here.
    private func closeSessions(_ subject: String) {
        let parts = subject.split(separator: " ")
        switch parts.first {
        case "hash": if let hash = Hex.bytes(String(parts[parts.count - 1])) { keys.close(session: KeyHash(hash)) }
        // Also the one that goes on; its page opens it again.
        case "user": if let id = Int64(parts[parts.count - 1]) { keys.closeSessions(userID: id, except: nil) }
        default: break
        }
    }

    /// - Parameter channel: nil = all.
    private func readSwitches(_ channel: Int64? = nil) async throws {
        let ids = snapshots.snapshot.configuration.routes.channels.map(\.id).filter { channel == nil || $0 == channel }
        try await ChannelSwitches(store: store, health: health).load(ids)
    }
}
