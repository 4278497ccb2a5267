public import Config
public import Storage

/// The console's part of a configuration, for commands that open the ledger themselves. Nothing is changed: no secret is made, and none is
/// made the ledger's.
public enum ConsoleAccess {
    /// - Returns: all that the console has stored. Where the ledger's secret is not at hand, channels with sealed parts are off, and
    ///   `problem` says why; it is nil when nothing is sealed.
    /// - Throws: ``StoreError``.
    public static func load(
        _ configuration: GatewayConfiguration, store: any AdminStore & ConsoleStore
    ) async throws -> (console: ConsoleConfiguration, problem: String?) {
        let rows = try await store.consoleRows()
        switch try await SessionSecret.existing(configuration, store: store) {
        case .fits(let sealer): return (ConsoleVault(store: store, sealer: sealer).read(rows), nil)
        case .missing(let reason):
            let isSealed = rows.contains { $0.sealed != nil }
            let problem = "keys of the console cannot be opened, so that channels which have such are left out: \(reason)"
            return (ConsoleVault(store: store, sealer: .opensNothing).read(rows), isSealed ? problem : nil)
        }
    }
}
