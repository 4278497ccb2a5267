import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage
import Vendors

/// Channels of the console: made, changed, checked, shown and exported. Channels of files are shown and exported as well.
struct ChannelConsoleHandlers: Sendable {
    let desk: ConsoleDesk
    let channels: ChannelHandlers
    let snapshots: SnapshotHolder
    let vendors: VendorClient
    let clock: ServerClock

    private func answer(_ id: Int64) throws -> Response {
        guard let channel = snapshots.snapshot.configuration.routes.channel(id: id) else {
            throw ManagementError.notFound("channel \(id)")
        }
        return Envelope.ok(channels.item(channel))
    }

    // MARK: Reading

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let channel = try channels.channel(context)
        guard case .object(var members) = channels.item(channel) else { throw ManagementError.notFound("channel \(channel.id)") }
        members.append(.init("config", .object(try await config(channel))))
        return Envelope.ok(.object(members))
    }

    /// As `POST` takes it, with hints in the place of secrets.
    private func config(_ channel: RouterCore.Channel) async throws -> [JSONValue.Member] {
        var members = [JSONValue.Member("id", .integer(channel.id))]
        let stored = try await stored(channel)
        if case .object(let entry) = stored?.config ?? ChannelDocument.json(channel) { members += entry.filter { $0.name != "id" } }
        if stored?.problem == ConsoleVault.unsealable {
            // All three have to be entered again.
            return members + [.init("keys", .array([])), .init("proxy", .null), .init("headers", .null)]
        }
        let keys = channel.keys.map { key -> JSONValue in ["hint": .string(SecretHint.text(key))] }
        members.append(.init("keys", .array(keys)))
        if let proxy = channel.proxy { members.append(.init("proxy", .string(ProxyText.shown(proxy)))) }
        if !channel.headers.isEmpty {
            // Null stands for a value that stays.
            members.append(.init("headers", .object(channel.headers.map { .init($0.name, .null) })))
        }
        return members
    }

    /// The stored channel, also where it has errors; nil for a file's.
    private func stored(_ channel: RouterCore.Channel) async throws -> ConsoleConfiguration.Channel? {
        guard snapshots.snapshot.configuration.origins.channels[channel.id] == .console else { return nil }
        return try await desk.stored(channel.id).channel
    }

    func export(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let channel = try channels.channel(context)
        let entry = try await stored(channel)?.config ?? ChannelDocument.json(channel)
        let yaml = ChannelDocument.yaml(id: channel.id, entry, placeholders(channel))
        return Envelope.ok(["yaml": .string(yaml)])
    }

    private func placeholders(_ channel: RouterCore.Channel) -> ChannelDocument.Placeholders {
        let named = snapshots.snapshot.configuration.origins.keyNames[channel.id] ?? []
        let upper = String(channel.provider.name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        let base = channel.provider.keyEnv ?? (upper.first?.isNumber == true ? "_" : "") + upper + "_API_KEY"
        let count = max(channel.keys.count, named.count)
        let made = (0..<count).map { index in index == 0 ? base : "\(base)_\(index + 1)" }
        func variable(_ name: String) -> String {
            "CHANNEL_\(channel.id)_" + String(name.uppercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        }
        return ChannelDocument.Placeholders(
            keys: named.count == count ? named : made, proxy: channel.proxy.map { _ in variable("PROXY") },
            headers: channel.headers.map { ($0.name, variable($0.name)) })
    }

    // MARK: Changing

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try ChannelBody(try await RequestFields(request, ChannelDescriptions.create), isNew: true)
        let empty = ConsoleConfiguration.Channel(id: 0, config: .object([]))
        if try body.checkRights(try context.user(), old: empty) { try context.demandFreshLogin() }
        let audit = try context.audit("channel.create", at: clock.unixSeconds, [.init("fields", .names(body.names))])
        return try answer(try await desk.add(body.applied(to: empty), id: body.id, audit: audit))
    }

    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try ChannelBody(try await RequestFields(request, ChannelDescriptions.change), isNew: false)
        let id = try context.pathID()
        let user = try context.user()
        let detail: [JSONValue.Member] = [.init("channel", .integer(id)), .init("fields", .names(body.names))]
        try await desk.change(id, audit: try context.audit("channel.change", at: clock.unixSeconds, detail)) { old in
            if try body.checkRights(user, old: old) { try context.demandFreshLogin() }
            return body.applied(to: old)
        }
        return try answer(id)
    }

    func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.pathID()
        let audit = try context.audit("channel.delete", at: clock.unixSeconds, [.init("channel", .integer(id))])
        try await desk.remove(channel: id, audit: audit)
        return Envelope.ok(.null)
    }

    /// Saves nothing: a channel as `POST` would make it, or as `PUT` would change the stored one whose id the body names.
    func check(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let body = try ChannelBody(try await RequestFields(request, ChannelDescriptions.check), isNew: true)
        let old = try await body.id.asyncMap { try await desk.vault.channel($0)?.channel } ?? nil
        let base = old ?? ConsoleConfiguration.Channel(id: body.id ?? 0, config: .object([]))
        _ = try body.checkRights(try context.user(), old: base)
        let diagnostics = try await desk.diagnostics(body.applied(to: base), isNew: old == nil)
        return Envelope.ok(["diagnostics": .array(diagnostics.map(\.consoleJSON))])
    }

    // MARK: A vendor's models

    func models(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, ChannelDescriptions.fetchModels)
        let snapshot = snapshots.snapshot
        let name = try fields.requiredString("provider")
        let baseURL = try fields.string("base_url")
        let given = try SecretText.read(fields["key"], "key")
        guard let spec = snapshot.configuration.providers.first(where: { $0.name == name }) else {
            throw fields.wrong("provider", Expected("the name of a provider", codes: ["provider"]))
        }
        let all = snapshot.configuration.routes.channels
        var channel: RouterCore.Channel?
        if let id = try fields.integer("channel_id") {
            channel = all.first { $0.id == id && $0.provider.name == name }
            if channel == nil { throw fields.wrong("channel_id", Expected("the id of a channel of this provider", codes: ["channel"])) }
        }
        // A key that is kept goes nowhere but where its channel sends it.
        let usesOwnURL = baseURL != nil && baseURL != channel?.baseURL
        if usesOwnURL {
            if try context.user().role < .root { throw ManagementError.rootOnly("'base_url'") }
            guard CheckedURL.isFine(baseURL ?? "") else {
                throw fields.wrong(
                    "base_url", Expected("an absolute http:// or https:// URL without user, query or fragment", codes: ["url"]))
            }
        }
        if given == nil, !usesOwnURL, channel == nil { channel = all.first { $0.provider.name == name && !$0.keys.isEmpty } }
        let key = given ?? (usesOwnURL ? nil : channel?.keys.first)
        guard key != nil || spec.auth == .none else {
            throw ManagementError.invalidSecret("key", Expected("given: no channel has one", codes: ["string", "not_empty"]))
        }
        let builtin = all.first { $0.provider.name == name }?.provider.baseURL
        let url = usesOwnURL ? baseURL : channel?.baseURL ?? (spec.baseURL == GatewaySnapshot.builtinSimulator ? builtin : nil)
        do throws(VendorModels.Problem) {
            let listed = try await VendorModels(snapshot: snapshot, client: vendors)
                .list(spec, key: key, baseURL: url, proxy: channel?.proxy)
            return Envelope.ok(.array(listed.sorted { $0.id < $1.id }.map { json($0, spec, snapshot) }))
        } catch {
            throw ManagementError.vendor(error.message)
        }
    }

    private func json(_ model: ListedModel, _ spec: ProviderSpec, _ snapshot: GatewaySnapshot) -> JSONValue {
        let isPriced =
            snapshot.prices.row(model.id)?.isActive == true || model.price != nil || spec.defaultPrice != nil
            || spec.models.contains { $0.id == model.id && $0.price != nil }
        return [
            "id": .string(model.id), "name": .optional(model.displayName), "context_length": .integer(model.contextLength),
            "price_known": .boolean(isPriced),
        ]
    }
}
