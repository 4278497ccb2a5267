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
        return kept.response(snapshot, for: request) { .array(snapshot.configuration.providers.map { json($0, snapshot) }) }
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response { try answer(Self.name(context)) }

    private static func name(_ context: GatewayContext) -> String { context.parameters.get("name") ?? "" }

    private func answer(_ name: String) throws -> Response {
        guard let spec = snapshots.snapshot.configuration.providers.first(where: { $0.name == name }) else {
            throw ManagementError.notFound("provider '\(name)'")
        }
        return Envelope.ok(json(spec, snapshots.snapshot))
    }

    private func json(_ spec: ProviderSpec, _ snapshot: GatewaySnapshot) -> JSONValue {
        let source = snapshot.configuration.origins.providers[spec.name] ?? .console
        let models = spec.models.map { model -> JSONValue in
            let row = snapshot.prices.row(model.id)
            let price = (row?.price ?? model.price).flatMap { $0.basis == .metered ? $0 : nil }
            return [
                "name": .string(model.id), "pricing_input": .usd(price?.rates.input), "pricing_output": .usd(price?.rates.output),
                "context_length": .integer(model.contextLength ?? row?.contextLength),
            ]
        }
        return [
            "name": .string(spec.name), "display_name": .string(spec.displayName), "family": .string(spec.family.rawValue),
            "base_url": .string(spec.baseURL), "source": source.json, "env": .names([spec.keyEnv].compactMap { $0 }),
            "needs_key": .boolean(spec.auth != .none), "free": .boolean(spec.defaultPrice == .free),
            "models": .array(models), "model_count": .integer(models.count),
        ]
    }

    // MARK: Changing

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, ProviderDescriptions.create)
        let name = try fields.requiredString("name")
        guard Self.isName(name) else {
            throw fields.wrong("name", "1 to 64 small letters, digits, '-', '_' or '.', beginning with a letter or digit")
        }
        _ = try fields.requiredString("base_url")
        let config = try Self.config(fields, over: [.init("adaptor", "openai")])
        try context.demandFreshLogin()
        let audit = try audit("provider.create", name, fields, context)
        try await desk.add(ConsoleConfiguration.Provider(name: name, config: config), audit: audit)
        return try answer(name)
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, ProviderDescriptions.change)
        let name = Self.name(context)
        // Wrong fields are found before anything else.
        _ = try Self.config(fields, over: [])
        try context.demandFreshLogin()
        try await desk.change(provider: name, audit: try audit("provider.change", name, fields, context)) { old in
            var new = old
            let members: [JSONValue.Member] = if case .object(let members) = old.config { members } else { [.init("adaptor", "openai")] }
            new.config = try Self.config(fields, over: members)
            new.problem = nil
            return new
        }
        return try answer(name)
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

    // MARK: The body

    /// The keys of a provider file, from the fields that are given and what was there.
    private static func config(_ fields: RequestFields, over old: [JSONValue.Member]) throws -> JSONValue {
        var members = old
        func set(_ name: String, _ value: JSONValue?) {
            members.removeAll { $0.name == name }
            if let value { members.append(.init(name, value)) }
        }
        for name in ["display_name", "base_url"] where fields[name] != nil { set(name, try fields.string(name).map { .string($0) }) }
        if let needsKey = try fields.boolean("needs_key") { set("auth", needsKey ? nil : ["type": "none"]) }
        if let isFree = try fields.boolean("free") { set("default_price", isFree ? ["input": "0", "output": "0"] : nil) }
        if let value = fields["models"] {
            guard let list = value.arrayValue, list.count <= ChannelBody.maximumModels else {
                throw fields.wrong("models", "an array of at most \(ChannelBody.maximumModels) models")
            }
            set("models", .array(try list.map { try model($0, fields) }))
        }
        return .object(members)
    }

    /// `{ name, pricing_input, pricing_output }` or `{ name, free: true }` as an entry of a provider file: USD per million tokens.
    private static func model(_ value: JSONValue, _ fields: RequestFields) throws -> JSONValue {
        let known = ["name", "display_name", "pricing_input", "pricing_output", "free", "context_length", "max_output_tokens"]
        let expected = """
            objects with 'name' and either 'pricing_input' and 'pricing_output' (USD per token, not negative, at most fifteen decimals) or \
            'free' true; also allowed: display_name, context_length, max_output_tokens
            """
        guard case .object(let given) = value, given.allSatisfy({ known.contains($0.name) }), let name = value["name"]?.stringValue else {
            throw fields.wrong("models", expected)
        }
        func perMillion(_ name: String) throws -> String {
            guard let text = value[name]?.numberText ?? value[name]?.stringValue, let parsed = try? FemtoUSD.parse(usdPerUnit: text),
                parsed.isExact
            else { throw fields.wrong("models", expected) }
            return parsed.price.usdPerMillionText
        }
        var members = [JSONValue.Member("id", .string(name))]
        for name in ["display_name", "context_length", "max_output_tokens"] {
            if let value = value[name], !value.isNull { members.append(.init(name, value)) }
        }
        if value["free"]?.boolValue == true {
            guard value["pricing_input"] == nil, value["pricing_output"] == nil else { throw fields.wrong("models", expected) }
            members.append(.init("price", ["input": "0", "output": "0"]))
        } else {
            members.append(
                .init(
                    "price",
                    ["input": .string(try perMillion("pricing_input")), "output": .string(try perMillion("pricing_output"))]))
        }
        return .object(members)
    }
}
