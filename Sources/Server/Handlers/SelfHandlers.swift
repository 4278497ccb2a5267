import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage

/// Users' own accounts: change them, list and end their sessions.
struct SelfHandlers: Sendable {
    let store: any UserStore
    let figures: UserFigures
    let lowBalance: LowBalance
    let keys: KeyDirectory
    let keyChanges: AsyncGate
    let sessions: Sessions
    let check: SessionCheck
    let passwords: PasswordTries
    let clock: ServerClock

    /// Requires the old password, so that a session left open somewhere is not enough to take over an account. A new password ends all
    /// other sessions and management tokens.
    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, LoginDescriptions.change)
        let old = try fields.requiredString("old_password")
        var change = UserChange()
        change.displayName = try fields.string("display_name")
        change.email = try fields.string("email")
        let password = try fields.string("password")
        if let password { try UserHandlers.checkPassword(password) }
        // The second of two simultaneous changes with the same old password fails.
        change.expectedPasswordHash = try await verify(old, of: user)
        if let password {
            change.passwordHash = try await PasswordTries.hashing {
                try await PasswordHasher.hash(password, lane: .known(owner: user.id))
            }
            change.endsManagementTokens = true
            change.keptManagementToken = check.presentedAccessToken(request, context).map(TokenSecrets.hash)
        }
        let prepared = change
        let names = fields.names.filter { $0 != "old_password" }
        let audit = try context.audit("user.self", at: clock.unixSeconds, [.init("fields", .array(names.map { .string($0) }))])
        let changed = try await keyChanges.run {
            let changed = try await storing("user", conflict: .changedMeanwhile) {
                try await store.changeUser(id: user.id, prepared, audit: audit)
            }
            keys.upsert(changed)
            return changed
        }
        return Envelope.ok(try await figures.json(changed))
    }

    /// Settings that nobody could take an account over with: no password is asked for.
    func changeSettings(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        let fields = try await RequestFields(request, LoginDescriptions.changeSettings)
        if fields["low_balance"] != nil {
            let threshold = fields.isNull("low_balance") ? nil : try fields.amount("low_balance")
            if let threshold, threshold.isNegative || threshold > LowBalance.largest {
                throw fields.wrong(
                    "low_balance",
                    Expected("an amount in USD from 0 to \(LowBalance.largest.usdText), or null", codes: ["usd", "min:0"]))
            }
            let audit = try context.audit("user.self", at: clock.unixSeconds, [.init("fields", .names(fields.names))])
            try await lowBalance.set(threshold, of: user.id, audit: audit)
        }
        return Envelope.ok(["low_balance": .usd(try await lowBalance.threshold(user.id))])
    }

    /// - Returns: the stored hash that the password matches.
    private func verify(_ password: String, of user: User) async throws -> String? {
        let subjects: [LoginThrottle.Subject] = [.ownPassword(user.id)]
        try await passwords.begin(subjects)
        let stored: String?
        let matches: Bool
        do {
            stored = try await store.userForLogin(username: user.username)?.passwordHash
            matches = try await PasswordTries.hashing {
                try await PasswordHasher.verify(password, against: stored, lane: .known(owner: user.id))
            }
        } catch {
            passwords.throttle.takeBack(subjects)
            throw error
        }
        guard matches else { throw ManagementError.forbidden("'old_password' is not the password of this user", code: .wrongPassword) }
        passwords.throttle.takeBack(subjects)
        return stored
    }

    // MARK: Sessions

    func listSessions(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let own = check.presentedAccessToken(request, context).map(TokenSecrets.hash)
        let all = try await sessions.list(userID: try context.user().id)
        return Envelope.ok(.array(all.map { json($0, isCurrent: $0.hash == own) }))
    }

    func endSession(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let wanted = context.parameters.get("id") ?? ""
        let all = try await sessions.list(userID: try context.user().id)
        guard let session = all.first(where: { Sessions.id($0.hash) == wanted }) else { throw ManagementError.notFound("session") }
        try await store.removeAccessToken(hash: session.hash)
        keys.close(session: KeyHash(session.hash))
        return Envelope.ok(.null)
    }

    /// Ends all sessions except the caller's. Management tokens without an expiry are not sessions; they are ended one by one, or by a
    /// change of password.
    func endOthers(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let own = check.presentedAccessToken(request, context).map(TokenSecrets.hash)
        let user = try context.user()
        try await store.removeSessions(userID: user.id, except: own)
        keys.closeSessions(userID: user.id, except: own.map { KeyHash($0) })
        return Envelope.ok(.null)
    }

    private func json(_ token: AccessToken, isCurrent: Bool) -> JSONValue {
        .object([
            .init("id", .string(Sessions.id(token.hash))), .init("kind", token.expiresAt == nil ? "token" : "session"),
            .init("current", .boolean(isCurrent)), .init("created_at", .integer(token.createdAt)),
            .init("used_at", .integer(token.usedAt)), .init("expires_at", .integer(token.expiresAt)),
            .init("client_ip", .string(token.clientIP)), .init("user_agent", .string(token.userAgent)),
        ])
    }
}
