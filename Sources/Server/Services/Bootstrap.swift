import Config
import Foundation
import Logging
import RouterCore
import Storage

/// What has to exist before anybody can log in. There is no default password.
enum Bootstrap {
    static func firstStart(
        store: any Store, bootstrap: GatewayConfiguration.Bootstrap, dataDirectory: String, clock: ServerClock,
        logger: Logger
    ) async throws {
        if try await store.users(PageRequest(page: 1, size: 1)).total == 0 {
            try await makeRoot(store, bootstrap, dataDirectory, clock, logger)
        }
        guard bootstrap.rootAccessToken != nil || bootstrap.rootToken != nil else { return }
        guard let root = try await store.allUsers().first(where: { $0.role == .root }) else { return }
        if let token = bootstrap.rootAccessToken {
            try require(token.reveal().utf8.count >= 16, "INITIAL_ROOT_ACCESS_TOKEN must have at least 16 characters")
            try await store.addAccessToken(
                userID: root.id, hash: TokenSecrets.hash(token.reveal()), expiresAt: nil, createdAt: clock.unixSeconds)
        }
        if let key = bootstrap.rootToken?.reveal() {
            try require(
                key.hasPrefix("sk-") && key.utf8.count >= 16,
                "INITIAL_ROOT_TOKEN must begin with sk- and have at least 16 characters")
            do {
                _ = try await store.createToken(
                    TokenSecrets.newKeyToken(userID: root.id, name: "initial", key: key, createdAt: clock.unixSeconds))
            } catch StoreError.duplicate {
                // There since an earlier start.
            }
        }
    }

    private static func makeRoot(
        _ store: any Store, _ bootstrap: GatewayConfiguration.Bootstrap, _ dataDirectory: String, _ clock: ServerClock,
        _ logger: Logger
    ) async throws {
        let password: String
        if let given = bootstrap.rootPassword {
            try require(given.reveal().utf8.count >= 8, "INITIAL_ROOT_PASSWORD must have at least 8 characters")
            password = given.reveal()
        } else {
            password = TokenSecrets.random(20)
            let path = dataDirectory + "/initial_root_password"
            try FileManager.default.createDirectory(atPath: dataDirectory, withIntermediateDirectories: true)
            let made = FileManager.default.createFile(
                atPath: path, contents: Data((password + "\n").utf8), attributes: [.posixPermissions: 0o600])
            try require(made, "cannot write \(path)")
            // Said once, here and in the file; the hash is all that is kept.
            logger.notice("first start: user 'root' has the password \(password) (also in \(path))")
        }
        _ = try await store.createUser(
            NewUser(
                username: "root", passwordHash: try await PasswordHasher.hash(password), displayName: "Root", role: .root,
                createdAt: clock.unixSeconds))
    }

    private static func require(_ condition: Bool, _ message: String) throws {
        if !condition { throw StoreError.schema(message) }
    }
}
