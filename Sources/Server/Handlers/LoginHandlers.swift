import Config
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage

// Login, logout and registration: what anybody may call.
extension UserHandlers {
    /// Addresses from which a user has logged in within this time are theirs; seconds.
    private static let addressLifetime: Int64 = 180 * 86_400

    static func login(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        let doors = services.doors
        let site = doors.site(request, context)
        try BrowserGuard.check(request, site)
        let fields = try await RequestFields(request, allowed: ["username", "password"])
        let username = try fields.requiredString("username")
        let password = try fields.requiredString("password", maximum: 1_024)
        let now = services.clock.unixSeconds
        let source = doors.source(context)
        let found = try await services.store.userForLogin(username: username)
        // Looked up for names that do not exist as well, so that they take the same time.
        let userID = found?.user.id ?? 0
        let mark = doors.devices.mark(request.cookies[site.cookieName(KnownDevices.cookieName)]?.value, of: userID)
        let isKnownAddress = try await services.store.knowsLogin(userID: userID, address: source.text, since: now - addressLifetime)

        let subjects: [LoginThrottle.Subject]
        if let mark {
            subjects = [.knownDevice(mark.id)]
        } else if isKnownAddress {
            subjects = [.knownAddress(userID, source.text)]
        } else {
            subjects = LoginThrottle.strangers(source, name: username)
        }
        let isKnown = mark != nil || isKnownAddress
        try await beginTry(subjects, services)
        let matches: Bool
        do {
            matches = try await hashing {
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
            await services.logins.failed(found?.user, isDisabled: matches, address: context.clientIP)
            throw ManagementError(.unauthorized, "wrong username or password")
        }
        doors.throttle.takeBack(subjects)
        try await services.store.noteLogin(userID: user.id, address: source.text, now: now)
        services.tokenLookups.isMade(TokenSecrets.hash(session.token))
        var headers = HTTPFields()
        headers.append(cookie(site.cookie(Sessions.cookieName, session.token, seconds: doors.sessions.lifetime)))
        if let device = try doors.devices.renewed(mark, of: user.id) {
            headers.append(cookie(site.cookie(KnownDevices.cookieName, device, seconds: KnownDevices.lifetime)))
        }
        return Envelope.ok(
            .object([
                .init("id", .integer(user.id)), .init("username", .string(user.username)),
                .init("role", .integer(user.role.rawValue)), .init("access_token", .string(session.token)),
                .init("expires_at", .integer(session.expiresAt)),
            ]), headers: headers)
    }

    private static func cookie(_ value: String) -> HTTPField { HTTPField(name: .setCookie, value: value) }

    /// Begins a try, after the short wait that some have.
    /// - Throws: ``ManagementError`` 429.
    static func beginTry(_ subjects: [LoginThrottle.Subject], _ services: GatewayServices) async throws {
        switch services.doors.throttle.begin(subjects, now: services.clock.monotonic) {
        case .allowed(let wait): if wait > .zero { try await Task.sleep(for: wait) }
        case .refused(let wait):
            let seconds = wait.wholeSecondsUp
            throw ManagementError(
                .tooManyRequests, "too many tries; try again in \(seconds) seconds", headers: [.retryAfter: String(seconds)])
        }
    }

    /// Work on a password, or a 503 where too many wait for theirs.
    static func hashing<Value>(_ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch is PasswordQueue.Busy {
            throw ManagementError(
                .serviceUnavailable, "too many passwords are being checked; try again in a few seconds", headers: [.retryAfter: "3"])
        }
    }

    static func logout(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        if let token = AccessCheck.presentedAccessToken(request, context, services) {
            try await services.store.removeAccessToken(hash: TokenSecrets.hash(token))
        }
        let site = services.doors.site(request, context)
        return Envelope.ok(.null, headers: [.setCookie: site.cookie(Sessions.cookieName, "", seconds: 0)])
    }

    static func current(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        Envelope.ok(json(try context.user()))
    }

    static func register(_ request: Request, _ context: GatewayContext, _ services: GatewayServices) async throws -> Response {
        try BrowserGuard.check(request, services.doors.site(request, context))
        guard services.snapshots.snapshot.configuration.server.registration else {
            throw ManagementError.forbidden("registration is closed (server.registration in gateway.yaml)")
        }
        let fields = try await RequestFields(request, allowed: ["username", "password", "display_name", "email"])
        let source = services.doors.source(context)
        if !source.isShared { try await beginTry([.registration(source.text)], services) }
        let audit = AuditEntry(actorID: nil, action: "user.register", clientIP: context.clientIP, at: services.clock.unixSeconds)
        return Envelope.ok(
            json(try await create(fields, role: .user, group: "default", services, audit, lane: .stranger)))
    }
}
