import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// Values of the variables that the keys of channels.yaml name. Never shown again: only whether there is one.
struct SecretHandlers: Sendable {
    let desk: ConsoleDesk
    let snapshots: SnapshotHolder
    let clock: ServerClock

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let stored = try await desk.vault.load()
        let configuration = snapshots.snapshot.configuration
        let names = Set(configuration.origins.secrets.keys).union(stored.secrets.keys).union(stored.secretProblems.keys)
        return Envelope.ok(.array(names.sorted().map { json($0, stored, configuration) }))
    }

    private func json(_ name: String, _ stored: ConsoleConfiguration, _ configuration: GatewayConfiguration) -> JSONValue {
        let users = configuration.routes.channels.filter { configuration.origins.keyNames[$0.id]?.contains(name) == true }
        let state = configuration.origins.secrets[name] ?? (stored.secrets[name] == nil ? .missing : .console)
        return [
            "name": .string(name), "status": .string(state.rawValue), "problem": .optional(stored.secretProblems[name]),
            "used_by": .array(users.map { ["kind": "channel", "id": .integer($0.id), "name": .string($0.name)] }),
        ]
    }

    private static func name(_ context: GatewayContext) throws -> String {
        let name = context.parameters.get("name") ?? ""
        let isFine = name.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x5F }
        guard isFine, (1...128).contains(name.utf8.count), name.utf8.first.map({ !(0x30...0x39).contains($0) }) == true else {
            throw ManagementError.invalid(
                "name", Expected("the name of a variable: letters, digits and '_', at most 128", codes: ["1..128", "A-Z a-z 0-9 _"]))
        }
        return name
    }

    /// Root sets any; an admin gives one that a channel misses, and replaces none.
    func set(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, SecretDescriptions.set)
        let name = try Self.name(context)
        guard let value = try SecretText.read(fields["value"], "value") else {
            throw ManagementError.invalidSecret("value", Expected("a non-empty string", codes: ["string", "not_empty"]))
        }
        let isRoot = try context.user().role >= .root
        guard isRoot || snapshots.snapshot.configuration.origins.secrets[name] == .missing else {
            throw ManagementError.rootOnly("a secret that no channel misses")
        }
        try context.demandFreshLogin()
        let audit = try context.audit("secret.set", at: clock.unixSeconds, [.init("name", .string(name))])
        try await desk.set(secret: name, value, mayReplace: isRoot, audit: audit)
        return try await answer(name)
    }

    private func answer(_ name: String) async throws -> Response {
        Envelope.ok(json(name, try await desk.vault.load(), snapshots.snapshot.configuration))
    }

    func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.name(context)
        try context.demandFreshLogin()
        let audit = try context.audit("secret.delete", at: clock.unixSeconds, [.init("name", .string(name))])
        try await desk.remove(secret: name, audit: audit)
        return Envelope.ok(.null)
    }
}
