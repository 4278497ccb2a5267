import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage

/// The console's playground: a session is opened for model calls, which the front door then serves as those of its user, without a key.
struct PlaygroundHandlers: Sendable {
    let keys: KeyDirectory
    let access: OrganizationAccess
    let doors: Doors
    let check: SessionCheck
    let clock: ServerClock

    /// Seconds for which a session stays open; the page opens it again when it has to.
    static let lifetime: Int64 = 900

    func open(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let user = try context.user()
        guard let token = check.presentedAccessToken(request, context) else { throw Self.notLoggedIn }
        let hash = KeyHash(TokenSecrets.hash(token))
        let now = clock.unixSeconds
        let latest = now + Self.lifetime
        let account = try QueryFields(request, PlaygroundDescriptions.open).integer("organization_id")
        if let account {
            _ = try await access.demand(.call, of: account, by: user)
            guard try await access.store.membership(account, userID: user.id)?.role.mayCall == true else {
                throw ManagementError.forbidden("only members call models for an organization", code: .organizationRole)
            }
        }
        keys.open(session: hash, userID: user.id, accountID: account, until: latest, now: now)
        // The session may have ended while this call was on its way here; whatever ends it later closes what is open by now.
        guard let found = try await doors.sessions.find(token: token), found.user.id == user.id else {
            keys.close(session: hash)
            throw Self.notLoggedIn
        }
        let end = min(latest, found.expiresAt ?? latest)
        if end < latest { keys.open(session: hash, userID: user.id, accountID: account, until: end, now: now) }
        return Envelope.ok(["expires_at": .integer(end)])
    }

    private static let notLoggedIn = ManagementError(.unauthorized, "the session has ended")
}
