import Config
import GatewayState
import HTTPTypes
import Hummingbird
import Metering
import Platform
import RouterCore
import Storage

/// Redemption codes: administrators make them, users redeem them.
struct RedemptionHandlers: Sendable {
    let store: any CreditStore & RedemptionStore
    let access: OrganizationAccess
    let meter: Meter
    let levels: LevelDesk
    let doors: Doors
    let passwords: PasswordTries
    let clock: ServerClock

    /// `POST /api/redemption/batch`: the answer has the codes, which nobody can read again.
    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = try await RequestFields(request, RedemptionDescriptions.create)
        let groups = try fields.strings("groups") ?? []
        let known = levels.snapshots.snapshot.configuration.groups
        guard groups.allSatisfy({ known[$0] != nil }) else {
            throw fields.wrong("groups", "groups of gateway.yaml: \(known.keys.sorted().joined(separator: ", "))")
        }
        guard let kind = try fields.choice("kind", RedemptionBatch.Kind.self) else { throw fields.wrong("kind", "gift or cash") }
        let now = clock.unixSeconds
        let amount = try fields.amount("amount")
        let batch = RedemptionBatch(
            name: try fields.requiredString("name"), amount: amount, codes: try fields.requiredInteger("count"), kind: kind,
            giftSeconds: try fields.integer("gift_seconds"), expiresAt: try fields.integer("expires_at"),
            perAccount: fields.isNull("per_account") ? nil : try fields.integer("per_account") ?? 1, groups: groups,
            createdBy: try context.user().id, createdAt: now)
        let audit = try context.audit(
            "code.create", at: now,
            [.init("amount", .usd(amount)), .init("count", .integer(batch.codes)), .init("kind", .string(kind.rawValue))])
        do {
            let made = try await RedemptionDesk.create(batch, in: store, audit: audit)
            guard case .object(let members) = json(made.batch) else { return Envelope.ok(.null) }
            return Envelope.ok(.object(members + [.init("code_list", .array(made.codes.map { .string($0) }))]))
        } catch let problem as RedemptionDesk.Problem {
            throw ManagementError.invalid(problem.field, Expected(problem.expected))
        }
    }

    func batches(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, RedemptionDescriptions.batches)
        let (before, size) = try Self.cursor(fields)
        let page = try await store.redemptionBatches(before: before, size: size)
        return Envelope.cursor(page.items.map(json), nextBefore: page.nextBefore)
    }

    func batch(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let batch = try await store.redemptionBatch(id: try context.pathID()) else { throw ManagementError.notFound("batch") }
        return Envelope.ok(json(batch))
    }

    func codes(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let fields = QueryFields(request, RedemptionDescriptions.codes)
        let (before, size) = try Self.cursor(fields)
        let query = RedemptionQuery(
            batchID: try fields.integer("batch_id"), isRedeemed: try fields.choice("state", CodeState.self).map { $0 == .redeemed })
        let page = try await store.redemptionCodes(query, before: before, size: size)
        return Envelope.cursor(page.items.map(Self.json), nextBefore: page.nextBefore)
    }

    func disable(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.pathID()
        let now = clock.unixSeconds
        let audit = try context.audit("code.disable", at: now)
        let batch = try await storing("batch") { try await store.disableRedemptionBatch(id: id, now: now, audit: audit) }
        return Envelope.ok(json(batch))
    }

    /// `POST /api/redemption/redeem {"code"}`. A try counts until it has succeeded, so that codes cannot be guessed.
    func redeem(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, RedemptionDescriptions.redeem)
        let text = try fields.requiredString("code")
        var accountID = user.id
        if let organization = try fields.integer("organization_id") {
            accountID = try await access.demand(.redeem, of: organization, by: user).account.id
        }
        let source = doors.source(context)
        var subjects: [LoginThrottle.Subject] = [.redemption(user.id)]
        if !source.isShared { subjects.append(.redemptionFrom(source.text)) }
        try await passwords.begin(subjects)
        guard let hash = RedemptionDesk.hash(typed: text) else { throw Self.error(.unknown) }
        let now = clock.unixSeconds
        let redemption = Redemption(hash: hash, accountID: accountID, userID: user.id, levels: levels.table, now: now)
        let audit = try context.audit("code.redeem", at: now)
        let redeemed: Redeemed
        do {
            redeemed = try await storing("account") { try await meter.redeem(redemption, audit: audit, in: store) }
        } catch let refusal as RedemptionRefusal {
            // Whoever has a code that is known has not guessed it.
            if refusal != .unknown { passwords.throttle.takeBack(subjects) }
            throw Self.error(refusal)
        } catch {
            passwords.throttle.takeBack(subjects)
            throw error
        }
        passwords.throttle.takeBack(subjects)
        if redeemed.batch.kind == .cash, redeemed.isNew { await levels.recharged(accountID) }
        return Envelope.ok(
            .object([
                .init("amount", .usd(redeemed.entry.amount)), .init("kind", .string(redeemed.batch.kind.rawValue)),
                .init("balance_after", .usd(redeemed.entry.balanceAfter)), .init("entry_id", .integer(redeemed.entry.id)),
                .init("credit", redeemed.credit.map(CreditHandlers.json) ?? .null), .init("repeated", .boolean(!redeemed.isNew)),
            ]))
    }

    /// - Throws: ``ManagementError`` 400.
    private static func cursor(_ fields: QueryFields) throws -> (before: Int64, size: Int) {
        let before = try fields.integer("before_id") ?? 0
        return (before == 0 ? .max : before, Int(try fields.integer("page_size") ?? 20))
    }

    static func error(_ refusal: RedemptionRefusal) -> ManagementError {
        switch refusal {
        case .unknown: ManagementError(.notFound, "there is no such code", code: .codeUnknown)
        case .used: ManagementError(.conflict, "the code has been redeemed", code: .codeUsed)
        case .expired: ManagementError(.conflict, "the code has expired", code: .codeExpired)
        case .disabled: ManagementError(.conflict, "the code has been disabled", code: .codeDisabled)
        case .notForAccount:
            ManagementError(
                .forbidden, "the code is not for this account, or the account has redeemed as many of its kind as it may",
                code: .codeNotForAccount)
        }
    }

    // MARK: Answers

    private func json(_ batch: RedemptionBatch) -> JSONValue {
        let state =
            batch.disabledAt != nil
            ? BatchState.disabled : batch.expiresAt.map { $0 <= clock.unixSeconds } == true ? .expired : .open
        return .object([
            .init("id", .integer(batch.id)), .init("name", .string(batch.name)), .init("amount", .usd(batch.amount)),
            .init("count", .integer(batch.codes)), .init("redeemed", .integer(batch.redeemed)),
            .init("kind", .string(batch.kind.rawValue)), .init("gift_seconds", .integer(batch.giftSeconds)),
            .init("expires_at", .integer(batch.expiresAt)), .init("per_account", .integer(batch.perAccount)),
            .init("groups", .array(batch.groups.map { .string($0) })), .init("state", .string(state.rawValue)),
            .init("created_by", .integer(batch.createdBy)), .init("created_at", .integer(batch.createdAt)),
            .init("disabled_at", .integer(batch.disabledAt)),
        ])
    }

    private static func json(_ code: RedemptionCode) -> JSONValue {
        let state = code.redeemedAt == nil ? CodeState.open : .redeemed
        return .object([
            .init("id", .integer(code.id)), .init("batch_id", .integer(code.batchID)), .init("prefix", .string(code.prefix)),
            .init("state", .string(state.rawValue)), .init("account_id", .integer(code.accountID)),
            .init("redeemed_by", .integer(code.redeemedBy)), .init("redeemed_at", .integer(code.redeemedAt)),
        ])
    }
}

/// As lists show a code.
enum CodeState: String, Sendable, CaseIterable { case open, redeemed }

/// As lists show a batch.
enum BatchState: String, Sendable, CaseIterable { case open, expired, disabled }
