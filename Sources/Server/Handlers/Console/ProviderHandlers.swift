import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// Providers: all to be read, and those that root declares without a file.
struct ProviderHandlers: Sendable {
    let desk: ConsoleDesk
    let snapshots: SnapshotHolder
    let clock: ServerClock
    private let kept = KeptAnswer()

    init(desk: ConsoleDesk, snapshots: SnapshotHolder, clock: ServerClock) {
        self.desk = desk
        self.snapshots = snapshots
        self.clock = clock
    }

    // MARK: Reading

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let snapshot = snapshots.snapshot
        return kept.response(snapshot, for: request) {
            let configuration = snapshot.configuration
            let broken = configuration.origins.providerNotes.keys.filter { configuration.origins.providers[$0] == .console }
                .filter { name in !configuration.providers.contains { $0.name == name } }
            return .array((configuration.providers + broken.sorted().map(Self.empty)).map { .object(members($0, snapshot)) })
        }
    }

    /// In the place of one of the console that is not in use, because it has errors.
    private static func empty(_ name: String) -> ProviderSpec {
        ProviderSpec(name: name, family: AdaptorID(rawValue: ""), baseURL: "")
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response { try await answer(Self.name(context)) }

    private static func name(_ context: GatewayContext) -> String { context.parameters.get("name") ?? "" }

    private func answer(_ name: String) async throws -> Response {
        let configuration = snapshots.snapshot.configuration
        let spec = configuration.providers.first { $0.name == name }
        guard let origin = configuration.origins.providers[name], spec != nil || origin == .console else {
            throw ManagementError.notFound("provider '\(name)'")
        }
        let stored = origin == .console ? try await desk.stored(provider: name).provider : nil
        return Envelope.ok(
            .object(members(spec ?? Self.empty(name), snapshots.snapshot) + [.init("config", stored.map(ProviderBody.json) ?? .null)]))
    }

    private func members(_ spec: ProviderSpec, _ snapshot: GatewaySnapshot) -> [JSONValue.Member] {
        let origins = snapshot.configuration.origins
        let source = origins.providers[spec.name] ?? .console
        let problem = origins.providerNotes[spec.name]?.first { $0.severity == .error }
        let models = spec.models.map { model -> JSONValue in
            let row = snapshot.prices.row(model.id)
            let price = (row?.price ?? model.price).flatMap { $0.basis == .metered ? $0 : nil }
            return [
                "name": .string(model.id), "pricing_input": .usd(price?.rates.input), "pricing_output": .usd(price?.rates.output),
                "context_length": .integer(model.contextLength ?? row?.contextLength),
            ]
        }
        return [
            .init("name", .string(spec.name)), .init("display_name", .string(spec.displayName)),
            .init("family", .string(spec.family.rawValue)), .init("base_url", .string(spec.baseURL)),
            .init("key_url", .optional(spec.keyURL)), .init("source", source.json),
            .init("problem", .optional(problem.map { ($0.path.isEmpty ? "" : "\($0.path): ") + $0.message })),
            .init("env", .names([spec.keyEnv].compactMap { $0 })), .init("needs_key", .boolean(spec.auth != .none)),
            .init("free", .boolean(spec.defaultPrice == .free)), .init("models", .array(models)),
            .init("model_count", .integer(models.count)),
        ]
    }

    // MARK: Changing

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, ProviderDescriptions.create)
        let name = try fields.requiredString("name")
        guard Self.isName(name) else {
            throw fields.wrong(
                "name",
                Expected(
                    "1 to 64 small letters, digits, '-', '_' or '.', beginning with a letter or digit",
                    codes: ["1..64", "a-z 0-9 - _ ."]))
        }
        _ = try fields.requiredString("base_url")
        let body = try ProviderBody(fields)
        try context.demandFreshLogin()
        let audit = try audit("provider.create", name, fields, context)
        try await desk.add(try body.applied(to: ConsoleConfiguration.Provider(name: name, config: .object([]))), audit: audit)
        return try await answer(name)
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, ProviderDescriptions.change)
        let name = Self.name(context)
        let body = try ProviderBody(fields)
        try context.demandFreshLogin()
        try await desk.change(provider: name, audit: try audit("provider.change", name, fields, context)) { try body.applied(to: $0) }
        return try await answer(name)
    }

    func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = Self.name(context)
        try context.demandFreshLogin()
        let audit = try context.audit("provider.delete", at: clock.unixSeconds, [.init("provider", .string(name))])
        try await desk.remove(provider: name, audit: audit)
        return Envelope.ok(.null)
    }

    private func audit(_ action: String, _ name: String, _ fields: RequestFields, _ context: GatewayContext) throws -> AuditEntry {
        try context.audit(action, at: clock.unixSeconds, [.init("provider", .string(name)), .init("fields", .names(fields.names))])
    }

    static func isName(_ text: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) }
        guard let first = text.utf8.first, isPlain(first), text.utf8.count <= 64 else { return false }
        return text.utf8.allSatisfy { isPlain($0) || [0x2D, 0x2E, 0x5F].contains($0) } && !text.contains("..")
    }
}
