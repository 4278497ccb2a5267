import Config
import Logging
import RouterCore
import ServiceLifecycle
import Storage

/// Brings what other gateways on the same database have changed into this one's memory: keys, users, prices, channel switches, and requests
/// for leased money.
struct ChangeWatcher: Service {
    let services: GatewayServices

    func run() async throws {
        guard let changes = services.store.changes() else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            for await batch in changes {
                // All prices are read at once, however many have changed: a sync changes hundreds.
                let changes = batch.map { $0.topic == .prices ? StoreChange(topic: .prices, subject: "") : $0 }
                for change in Set(changes) { await self.apply(change) }
            }
        }
    }

    private func apply(_ change: StoreChange) async {
        do {
            try await take(change)
        } catch {
            // It comes again with the next look, or with everything when the database is back.
            services.logger.warning(
                "a change made elsewhere could not be read", metadata: ["topic": "\(change.topic)", "error": "\(error)"])
        }
    }

    private func take(_ change: StoreChange) async throws {
        let id = change.subject.split(separator: " ").first.flatMap { Int64($0) } ?? 0
        // Our own words come back too.
        let isOurs = change.subject.hasSuffix(" " + services.meter.holder.gatewayID)
        switch change.topic {
        case .users:
            if let user = try await services.store.user(id: id) { services.keys.upsert(user) } else { services.keys.remove(userID: id) }
        case .tokens:
            if let token = try await services.store.token(id: id) { services.keys.upsert(token) } else { services.keys.remove(tokenID: id) }
        // A first price may be what a model of a vendor's list was waiting for.
        case .prices: try await services.reloader.catalogueChanged()
        case .settings:
            if change.subject.hasPrefix(Catalogue.settingPrefix) {
                try await services.reloader.catalogueChanged()
            } else {
                try await readSwitches()
            }
        case .recall: if !isOurs { try await services.meter.recall(id) }
        case .freed: if !isOurs { services.meter.wake(id) }
        case .everything:
            services.keys.load(users: try await services.store.allUsers(), tokens: try await services.store.allTokens())
            try await services.reloader.catalogueChanged()
            try await readSwitches()
        }
    }

    private func readSwitches() async throws {
        let ids = services.snapshots.snapshot.configuration.routes.channels.map(\.id)
        try await ChannelSwitches(store: services.store, health: services.health).load(ids)
    }
}
