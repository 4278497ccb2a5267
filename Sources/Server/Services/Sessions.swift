import Config
import GatewayState
import Platform
import RouterCore
import Storage
import Synchronization

/// Sessions of users: a random token, known to the database by its hash only, that a login hands out as a cookie and as a bearer token. It
/// ends by itself, after a time without use and after a time in all.
final class Sessions: Sendable {
    static let cookieName = "apirouter_session"

    /// Seconds.
    let idle: Int64
    let lifetime: Int64
    private let store: any UserStore
    private let clock: ServerClock
    /// When uses were last written, so that a page that asks often writes seldom.
    private let written = Mutex<[KeyHash: Int64]>([:])
    private static let maximumWritten = 10_000
    /// Kept of what a browser says of itself.
    private static let maximumUserAgent = 200

    init(_ settings: GatewayConfiguration.Sessions, store: any UserStore, clock: ServerClock) {
        idle = settings.idle.components.seconds
        lifetime = settings.lifetime.components.seconds
        self.store = store
        self.clock = clock
    }

    /// - Parameter passwordHash: what the password was verified against.
    /// - Returns: the token, and when it ends at the latest (Unix seconds); nil where the password has been changed or the user disabled
    ///   since the hash was read.
    func begin(
        of user: User, verified passwordHash: String, clientIP: String, userAgent: String
    ) async throws -> (token: String, expiresAt: Int64)? {
        let token = TokenSecrets.newAccessToken()
        let now = clock.unixSeconds
        let agent = userAgent.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(Self.maximumUserAgent)
        let isAdded = try await store.addAccessToken(
            AccessToken(
                hash: TokenSecrets.hash(token), userID: user.id, createdAt: now, usedAt: now, expiresAt: now + lifetime, clientIP: clientIP,
                userAgent: String(String.UnicodeScalarView(agent))), verified: passwordHash,
            audit: LoginRecords.success(user, address: clientIP, now: now))
        return isAdded ? (token, now + lifetime) : nil
    }

    /// The user behind a token that has not ended; noted as used.
    func user(token: String) async throws -> User? {
        let hash = TokenSecrets.hash(token)
        let now = clock.unixSeconds
        guard let user = try await store.userForAccessToken(hash: hash, now: now, idleSince: now - idle) else { return nil }
        if isWorthWriting(KeyHash(hash), now) { try await store.touchAccessToken(hash: hash, now: now) }
        return user
    }

    private func isWorthWriting(_ hash: KeyHash, _ now: Int64) -> Bool {
        let pause = max(1, min(60, idle / 10))
        return written.withLock { written in
            if let last = written[hash], now - last < pause { return false }
            if written.count >= Self.maximumWritten { written = [:] }
            written[hash] = now
            return true
        }
    }

    func list(userID: Int64) async throws -> [AccessToken] {
        let now = clock.unixSeconds
        return try await store.accessTokens(userID: userID, now: now, idleSince: now - idle)
    }

    /// What a session is called in lists: a part of its token's hash, which opens nothing.
    static func id(_ hash: [UInt8]) -> String {
        hash.prefix(8).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
}
