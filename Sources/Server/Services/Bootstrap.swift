import Config
import GatewayState
import Logging
import Platform
import RouterCore
import Storage

/// Creates what has to exist before the first login, and applies root's settings from the environment. There is no default password.
enum Bootstrap {
    static func firstStart(
        store: any UserStore & TokenStore, bootstrap: GatewayConfiguration.Bootstrap, dataDirectory: String, clock: ServerClock,
        logger: Logger
    ) async throws {
        if try await store.users(UserQuery(page: PageRequest(page: 1, size: 1))).total == 0 {
            try await makeRoot(store, bootstrap, dataDirectory, clock, logger)
        }
        guard let root = try await store.allUsers().first(where: { $0.role == .root }) else { return }
        try await setToken(bootstrap.rootAccessToken, of: root, store, clock, logger)
        try await setKey(bootstrap.rootToken, of: root, store, clock, logger)
    }

    /// Keeps a single token, that of the environment: an earlier one ends when the variable changes or is removed.
    private static func setToken(
        _ token: Secret?, of root: User, _ store: any UserStore & TokenStore, _ clock: ServerClock, _ logger: Logger
    ) async throws {
        let name = "INITIAL_ROOT_ACCESS_TOKEN"
        try require(token.map { $0.reveal().utf8.count >= 16 } ?? true, "\(name) must have at least 16 characters")
        let outcome = try await store.setBootstrapToken(
            userID: root.id, hash: token.map { TokenSecrets.hash($0.reveal()) },
            audit: AuditEntry(actorID: nil, action: "bootstrap.access_token", at: clock.unixSeconds))
        tell(outcome, of: name, as: "the management token", logger)
    }

    private static func setKey(
        _ key: Secret?, of root: User, _ store: any UserStore & TokenStore, _ clock: ServerClock, _ logger: Logger
    ) async throws {
        let name = "INITIAL_ROOT_TOKEN"
        let isFine = key.map { $0.reveal().hasPrefix("sk-") && $0.reveal().utf8.count >= 16 } ?? true
        try require(isFine, "\(name) must begin with sk- and have at least 16 characters")
        let token = key.map {
            TokenSecrets.newKeyToken(
                userID: root.id, name: BootstrapKey.name, key: $0.reveal(), createdAt: clock.unixSeconds)
        }
        let outcome = try await store.setBootstrapKey(
            userID: root.id, token, audit: AuditEntry(actorID: nil, action: "bootstrap.key", at: clock.unixSeconds))
        tell(outcome, of: name, as: "the API key", logger)
    }

    private static func tell(_ outcome: BootstrapOutcome, of name: String, as what: String, _ logger: Logger) {
        switch outcome {
        case .unchanged: break
        case .ended:
            logger.warning(
                "\(what) of \(name) has been ended since it was set here and stays so; give the variable another value")
        case .replaced:
            logger.notice("\(what) of \(name) is in force; that of an earlier start, if there was one, has ended")
        case .removed: logger.notice("\(name) is not set any more: \(what) that it had made has ended")
        }
    }

    private static func makeRoot(
        _ store: any UserStore & TokenStore, _ bootstrap: GatewayConfiguration.Bootstrap, _ dataDirectory: String, _ clock: ServerClock,
        _ logger: Logger
    ) async throws {
        let given = bootstrap.rootPassword
        if let given {
            try require(given.reveal().utf8.count >= 8, "INITIAL_ROOT_PASSWORD must have at least 8 characters")
        }
        let password = given ?? Secret(TokenSecrets.random(20))
        let file = given == nil ? try RootPasswordFile(directory: dataDirectory, password: password) : nil
        do {
            _ = try await store.createUser(
                NewUser(
                    username: "root", passwordHash: try await PasswordHasher.hash(password.reveal()),
                    displayName: "Root", role: .root,
                    createdAt: clock.unixSeconds),
                audit: AuditEntry(actorID: nil, action: "bootstrap.root", at: clock.unixSeconds))
        } catch {
            // The account was not created, so the password in the file is of no use.
            file?.remove()
            // Another gateway on the same database created the account first.
            if case StoreError.duplicate = error { return }
            throw error
        }
        file?.tell(logger)
    }

    private static func require(_ condition: Bool, _ message: String) throws {
        if !condition { throw StoreError.schema(message) }
    }
}
