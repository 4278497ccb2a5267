import Config
import GatewayState
import Platform
import RouterCore
import Storage
import Synchronization

/// Sessions of users: a random token, of which the database stores only the hash, and which a login returns as a cookie and as a bearer
/// token. A session expires after a time without use, and after a total lifetime.
final class Sessions: Sendable {
    static let cookieName = "apirouter_session"

    /// Seconds.
    let idle: Int64
    let lifetime: Int64
    private let store: any UserStore
    private let clock: ServerClock
    /// When uses were last written, so that a page with many requests causes few writes.
    private let written = Mutex<[KeyHash: Int64]>([:])
    private static let maximumWritten = 10_000
    /// Maximum number of characters stored of a browser's User-Agent.
    private static let maximumUserAgent = 200

    init(_ settings: GatewayConfiguration.Sessions, store: any UserStore, clock: ServerClock) {
        idle = settings.idle.components.seconds
        lifetime = settings.lifetime.components.seconds
        self.store = store
        self.clock = clock
    }

    /// - Parameter passwordHash: the hash that the password was verified against.
    /// - Returns: the token, and its latest expiry (Unix seconds); nil if the password has been changed or the user disabled since the hash
    ///   was read.
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

    /// The owner of a token that has not expired, and the token's age in seconds; also notes the use.
    func find(token: String) async throws -> (user: User, age: Int64, expiresAt: Int64?)? {
        let hash = TokenSecrets.hash(token)
        let now = clock.unixSeconds
        guard let found = try await store.userForAccessToken(hash: hash, now: now, idleSince: now - idle) else { return nil }
        if isWorthWriting(KeyHash(hash), now) { try await store.touchAccessToken(hash: hash, now: now) }
        return (found.user, now - found.begunAt, found.expiresAt)
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

    /// The id of a session in lists: a part of its token's hash, which grants no access.
    static func id(_ hash: [UInt8]) -> String {
        hash.prefix(8).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
    }
}
