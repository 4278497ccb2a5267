import Config
import GatewayState
import Platform
import RouterCore
import Storage

/// Changes what the console has stored: checks the whole configuration as it would be, writes the row with its audit, and puts it into
/// force. One change at a time, so that two that are valid alone cannot be invalid together.
struct ConsoleDesk: Sendable {
    let store: any ConsoleStore & LongHoldStore
    let vault: ConsoleVault
    let reloader: ConfigurationReloader
    let snapshots: SnapshotHolder
    let gate = AsyncGate()

    static let maximumChannels = 1_000
    static let maximumProviders = 200
    static let maximumSecrets = 1_000
    /// Stands for the id of a channel that has none yet: the largest one that nobody has.
    private static func freeID(_ taken: Set<Int64>) -> Int64 {
        var id: Int64 = 1_000_000_000
        while taken.contains(id) { id -= 1 }
        return id
    }

    private var origins: ConfigOrigins { snapshots.snapshot.configuration.origins }

    // MARK: Channels

    /// A stored channel. - Throws: ``ManagementError`` 409 for a channel of a file, 404.
    func stored(_ id: Int64) async throws -> (row: ConsoleRow, channel: ConsoleConfiguration.Channel) {
        if let found = try await vault.channel(id) { return found }
        if origins.channels[id] != nil { throw ManagementError.readOnly("channel \(id)") }
        throw ManagementError.notFound("channel \(id)")
    }

    /// The words of the files' reader about a channel, as a new one or in the place of the one with its id.
    /// - Throws: ``ManagementError`` 409 when the files have errors.
    func diagnostics(_ channel: ConsoleConfiguration.Channel, isNew: Bool) async throws -> [Diagnostic] {
        var channel = channel
        var console = try await vault.load()
        if isNew, channel.id == 0 { channel.id = Self.freeID(Set(console.channels.map(\.id)).union(origins.channels.keys)) }
        console.channels.removeAll { $0.id == channel.id }
        console.channels.append(channel)
        return try await candidate(console).channelNotes[channel.id] ?? []
    }

    private func candidate(_ console: ConsoleConfiguration) async throws -> ConfigOrigins {
        do throws(ConfigErrors) { return try await reloader.candidate(console).origins } catch { throw ManagementError.filesInvalid(error) }
    }

    private func check(_ channel: ConsoleConfiguration.Channel, isNew: Bool) async throws {
        let errors = try await diagnostics(channel, isNew: isNew).filter { $0.severity == .error }
        if !errors.isEmpty { throw ManagementError.configInvalid("channel", errors) }
    }

    /// - Parameter id: nil = the next one.
    /// - Returns: its id.
    func add(_ channel: ConsoleConfiguration.Channel, id: Int64?, audit: AuditEntry) async throws -> Int64 {
        try await gate.run {
            var channel = channel
            let stored = Set(try await vault.load().channels.map(\.id))
            guard stored.count < Self.maximumChannels else {
                throw ManagementError.tooMany("channels", Self.maximumChannels)
            }
            let ofFiles = Set(origins.channels.filter { $0.value != .console }.keys)
            if let id, ofFiles.union(stored).contains(id) { throw ManagementError.duplicate("the id \(id) is taken") }
            channel.id = id ?? 0
            try await check(channel, isNew: true)
            if let id { channel.id = id } else { channel.id = try await store.claimConsoleChannelID(avoiding: ofFiles) }
            let row = try vault.row(channel)
            var audit = audit
            audit.detail.insert(.init("channel", .integer(channel.id)), at: 0)
            let entry = audit
            do {
                try await store.addConsoleRow(row, audit: entry)
            } catch StoreError.duplicate {
                throw ManagementError.duplicate("the id \(channel.id) is taken")
            }
            try await putIntoForce()
            return channel.id
        }
    }

    /// - Parameter change: gives the new channel, or throws what speaks against it.
    func change(
        _ id: Int64, audit: AuditEntry, _ change: (ConsoleConfiguration.Channel) throws -> ConsoleConfiguration.Channel
    ) async throws {
        try await gate.run {
            let (row, old) = try await stored(id)
            let new = try change(old)
            try await check(new, isNew: false)
            let changed = try vault.row(new, version: row.version)
            try await storing("channel \(id)", conflict: .changedMeanwhile) { try await store.changeConsoleRow(changed, audit: audit) }
            try await putIntoForce()
        }
    }

    func remove(channel id: Int64, audit: AuditEntry) async throws {
        try await gate.run {
            _ = try await stored(id)
            // Batches and background responses are settled by their figures only while their vendor can be asked; otherwise the whole
            // hold is charged in the end.
            let open = try await store.openLongHolds(channelID: id)
            guard open == 0 else { throw ManagementError.stillAsked(id, open) }
            // A file's channel with this id is the one that operators switch.
            let isShadowed = origins.channels[id].map { $0 != .console } ?? false
            try await storing("channel \(id)") {
                try await store.removeConsoleRow(.channel(id), keepsSwitch: isShadowed, audit: audit)
            }
            try await putIntoForce()
        }
    }

    // MARK: Providers

    /// - Throws: ``ManagementError`` 409 for a provider file, 404.
    func stored(provider name: String) async throws -> (row: ConsoleRow, provider: ConsoleConfiguration.Provider) {
        if let row = try await store.consoleRow(.provider(name)), let provider = vault.read([row]).providers.first {
            return (row, provider)
        }
        if origins.providers[name] != nil { throw ManagementError.readOnly("the provider '\(name)'") }
        throw ManagementError.notFound("provider '\(name)'")
    }

    private func check(_ provider: ConsoleConfiguration.Provider) async throws {
        var console = try await vault.load()
        console.providers.removeAll { $0.name == provider.name }
        console.providers.append(provider)
        let errors = try await candidate(console).providerNotes[provider.name]?.filter { $0.severity == .error } ?? []
        if !errors.isEmpty { throw ManagementError.configInvalid("provider", errors) }
    }

    func add(_ provider: ConsoleConfiguration.Provider, audit: AuditEntry) async throws {
        try await gate.run {
            let console = try await vault.load()
            guard console.providers.count < Self.maximumProviders else {
                throw ManagementError.tooMany("providers", Self.maximumProviders)
            }
            guard origins.providers[provider.name] == nil, !console.providers.contains(where: { $0.name == provider.name }) else {
                throw ManagementError.duplicate("the name '\(provider.name)' is taken")
            }
            try await check(provider)
            let row = try vault.row(provider)
            try await storing("provider") { try await store.addConsoleRow(row, audit: audit) }
            try await putIntoForce()
        }
    }

    func change(
        provider name: String, audit: AuditEntry, _ change: (ConsoleConfiguration.Provider) throws -> ConsoleConfiguration.Provider
    ) async throws {
        try await gate.run {
            let (row, old) = try await stored(provider: name)
            let new = try change(old)
            try await check(new)
            let changed = try vault.row(new, version: row.version)
            try await storing("provider '\(name)'", conflict: .changedMeanwhile) {
                try await store.changeConsoleRow(changed, audit: audit)
            }
            try await putIntoForce()
        }
    }

    func remove(provider name: String, audit: AuditEntry) async throws {
        try await gate.run {
            _ = try await stored(provider: name)
            let users = snapshots.snapshot.configuration.routes.channels.filter { $0.provider.name == name }.map { "\($0.id)" }
            guard users.isEmpty || origins.providers[name] != .console else {
                throw ManagementError.inUse(name, by: users)
            }
            try await storing("provider '\(name)'") { try await store.removeConsoleRow(.provider(name), audit: audit) }
            try await putIntoForce()
        }
    }

    // MARK: Secrets

    /// - Parameter mayReplace: whether one that is there may be replaced, else 403.
    func set(secret name: String, _ value: Secret, mayReplace: Bool, audit: AuditEntry) async throws {
        try await gate.run {
            if let old = try await store.consoleRow(.secret(name)) {
                guard mayReplace else { throw ManagementError.rootOnly("a secret that is there already") }
                let row = try vault.row(secret: name, value, version: old.version)
                try await storing("secret '\(name)'", conflict: .changedMeanwhile) { try await store.changeConsoleRow(row, audit: audit) }
            } else {
                let count = try await vault.load().secrets.count
                guard count < Self.maximumSecrets else {
                    throw ManagementError.tooMany("secrets", Self.maximumSecrets)
                }
                let row = try vault.row(secret: name, value)
                try await storing("secret '\(name)'") { try await store.addConsoleRow(row, audit: audit) }
            }
            try await putIntoForce()
        }
    }

    func remove(secret name: String, audit: AuditEntry) async throws {
        try await gate.run {
            try await storing("secret '\(name)'") { try await store.removeConsoleRow(.secret(name), audit: audit) }
            try await putIntoForce()
        }
    }

    /// - Throws: ``ManagementError`` 409 when a file has been spoilt since the check: the change is stored and waits.
    private func putIntoForce() async throws {
        do {
            try await reloader.consoleChanged()
        } catch let errors as ConfigErrors {
            throw ManagementError.waiting(errors)
        }
    }
}
