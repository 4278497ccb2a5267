import Config
import GatewayState
import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage

/// Login, logout and registration: open to everyone.
struct LoginHandlers: Sendable {
    let store: any UserStore
    let snapshots: SnapshotHolder
    let doors: Doors
    let check: SessionCheck
    let passwords: PasswordTries
    let tokenLookups: TokenLookups
    let logins: LoginRecords
    let users: UserHandlers
    let lowBalance: LowBalance
    let keys: KeyDirectory
    let clock: ServerClock

    /// Seconds for which an address counts as known to a user after a login from it.
    private static let addressLifetime: Int64 = 180 * 86_400

    func login(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let site = doors.site(request, context)
        try BrowserGuard.check(request, site)
        let fields = try await RequestFields(request, LoginDescriptions.login)
        let username = try fields.requiredString("username")
        let password = try fields.requiredString("password")
        // A page keeps its session in the cookie, where no script can read it.
        let isCookieOnly = try fields.boolean("session") ?? false
        let now = clock.unixSeconds
        let source = doors.source(context)
        let found = try await store.userForLogin(username: username)
        // Looked up for names that do not exist as well, so that both cases take the same time.
        let userID = found?.user.id ?? 0
        let mark = doors.devices.mark(request.cookies[site.cookieName(KnownDevices.cookieName)]?.value, of: userID)
        let isKnownAddress = try await store.knowsLogin(userID: userID, address: source.text, since: now - Self.addressLifetime)

        let subjects: [LoginThrottle.Subject]
        if let mark {
            subjects = [.knownDevice(mark.id)]
        } else if isKnownAddress {
            subjects = [.knownAddress(userID, source.text)]
        } else {
            subjects = LoginThrottle.strangers(source, name: username)
        }
        let isKnown = mark != nil || isKnownAddress
        try await passwords.begin(subjects)
        let matches: Bool
        do {
            matches = try await PasswordTries.hashing {
                try await PasswordHasher.verify(
                    password, against: found?.passwordHash, lane: isKnown ? .known(owner: userID) : .stranger)
            }
        } catch {
            doors.throttle.takeBack(subjects)
            throw error
        }
        guard matches, let (user, passwordHash) = found, user.status == .enabled,
            let session = try await doors.sessions.begin(
                of: user, verified: passwordHash, clientIP: context.clientIP, userAgent: request.headers[.userAgent] ?? "")
        else {
            await logins.failed(found?.user, isDisabled: matches, address: context.clientIP)
            throw ManagementError(.unauthorized, "wrong username or password", code: .wrongCredentials)
        }
        doors.throttle.takeBack(subjects)
        try await store.noteLogin(userID: user.id, address: source.text, now: now)
        tokenLookups.isMade(TokenSecrets.hash(session.token))
        var headers = HTTPFields()
        headers.append(cookie(site.cookie(Sessions.cookieName, session.token, seconds: doors.sessions.lifetime)))
        if let device = try doors.devices.renewed(mark, of: user.id) {
            headers.append(cookie(site.cookie(KnownDevices.cookieName, device, seconds: KnownDevices.lifetime)))
        }
        let token: [JSONValue.Member] = isCookieOnly ? [] : [.init("access_token", .string(session.token))]
        return Envelope.ok(
            .object(
                [
                    .init("id", .integer(user.id)), .init("username", .string(user.username)),
                    .init("role", .integer(user.role.rawValue)),
                ] + token + [.init("expires_at", .integer(session.expiresAt))]), headers: headers)
    }

    private func cookie(_ value: String) -> HTTPField { HTTPField(name: .setCookie, value: value) }

    func logout(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if let token = check.presentedAccessToken(request, context) {
            try await store.removeAccessToken(hash: TokenSecrets.hash(token))
            keys.close(session: KeyHash(of: token))
        }
        let site = doors.site(request, context)
        return Envelope.ok(.null, headers: [.setCookie: site.cookie(Sessions.cookieName, "", seconds: 0)])
    }

    func current(_ request: Request, _ context: GatewayContext) async throws -> Response {
        Envelope.ok(try await ownJSON(try context.user()))
    }

    private func ownJSON(_ caller: User) async throws -> JSONValue {
        // A call that was settled here counts as spent, whether or not its row is written.
        await users.figures.meter.waitPosted(caller.id)
        let user = try await store.user(id: caller.id) ?? caller
        return try await lowBalance.noted(try await users.figures.json(user), user)
    }

    /// Open to everyone: a page asks who its reader is, and for a visitor that is no error.
    func session(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let user = try await check.user(request, context), user.status == .enabled else { return Envelope.ok(["user": .null]) }
        return Envelope.ok(["user": try await ownJSON(user)])
    }

    func register(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try BrowserGuard.check(request, doors.site(request, context))
        guard snapshots.snapshot.configuration.server.registration else {
            throw ManagementError.forbidden(
                "registration is closed (server.registration in gateway.yaml)", code: .registrationClosed)
        }
        let fields = try await RequestFields(request, LoginDescriptions.register)
        let source = doors.source(context)
        if !source.isShared { try await passwords.begin([.registration(source.text)]) }
        let audit = AuditEntry(actorID: nil, action: "user.register", clientIP: context.clientIP, at: clock.unixSeconds)
        let user = try await users.create(fields, role: .user, group: "default", audit, lane: .stranger)
        return Envelope.ok(try await users.figures.json(user))
    }
}
