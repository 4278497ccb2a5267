public import Config
import Foundation
import GatewayState
public import RouterCore
public import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The secret for sealing values: `SESSION_SECRET`, or a file that the first start creates. All gateways of one ledger must have the same
/// secret; the ledger stores a check value by which a gateway can compare its own.
public enum SessionSecret {
    private static let settingKey = "session_secret_check"
    private static let fileName = "session_secret"
    /// Long enough that a random string of letters and digits cannot be guessed.
    private static let minimumBytes = 16

    /// - Throws: ``StoreError/schema(_:)`` when this gateway's secret does not match the ledger's check value.
    static func sealer(_ configuration: GatewayConfiguration, store: any AdminStore) async throws -> Sealer {
        let known = try await store.setting(settingKey)
        let place: String
        let secret: Secret
        if let given = try fromEnvironment(configuration) {
            (secret, place) = (given, "SESSION_SECRET")
        } else {
            place = path(configuration)
            if let kept = try read(place) {
                secret = kept
            } else {
                guard known == nil else { throw StoreError.schema("there is no SESSION_SECRET and no \(place), but \(shared)") }
                secret = try make(place)
            }
        }
        let sealer = Sealer(secret)
        guard try await store.claimSetting(settingKey, sealer.check) == sealer.check else {
            throw StoreError.schema("the secret in \(place) is not the one that this ledger knows: \(shared)")
        }
        return sealer
    }

    /// The ledger's secret as it is at hand.
    enum Existing {
        case fits(Sealer)
        /// In words.
        case missing(String)
    }

    /// Looks for the secret of this ledger, and makes none.
    /// - Throws: ``StoreError``.
    static func existing(_ configuration: GatewayConfiguration, store: any AdminStore) async throws -> Existing {
        let place = configuration.bootstrap.sessionSecret == nil ? path(configuration) : "SESSION_SECRET"
        let found: Secret?
        do {
            found = try fromEnvironment(configuration) ?? read(place)
        } catch StoreError.schema(let reason) {
            return .missing(reason)
        }
        guard let secret = found else { return .missing("there is no SESSION_SECRET and no \(place)") }
        let sealer = Sealer(secret)
        guard try await store.setting(settingKey) == sealer.check else {
            return .missing("the secret in \(place) is not the one that this ledger knows")
        }
        return .fits(sealer)
    }

    private static let shared = """
        the gateways of one ledger share one secret. Give this one the SESSION_SECRET of the others, or a copy of the first one's data_dir/session_secret; \
        to replace the secret, stop all gateways and run 'apirouter secret reseal' with the new one, or 'apirouter secret adopt' if the old one is lost \
        (docs/security.md)
        """

    /// Seals everything anew that the ledger has sealed with another secret, and makes this configuration's secret the ledger's own: in one
    /// transaction.
    /// - Parameters:
    ///   - old: the secret that was in use.
    ///   - now: Unix seconds.
    /// - Returns: how many values were sealed anew, and where the new secret is.
    /// - Throws: ``StoreError``; nothing is changed then.
    public static func reseal(
        _ configuration: GatewayConfiguration, old: Secret, store: any AdminStore & ConsoleStore, now: Int64
    ) async throws -> (count: Int, place: String) {
        let given = try fromEnvironment(configuration)
        let place = given == nil ? path(configuration) : "SESSION_SECRET"
        guard let secret = try given ?? read(place) else {
            throw StoreError.schema("there is no SESSION_SECRET and no \(place): give the new secret first")
        }
        let new = Sealer(secret)
        let rows = try ConsoleVault.resealed(try await store.consoleRows(), from: Sealer(old), to: new)
        let audit = AuditEntry(actorID: nil, action: "secret.reseal", detail: [.init("count", .integer(rows.count))], at: now)
        try await store.resealConsole(rows, setting: (settingKey, new.check), audit: audit)
        return (rows.count, place)
    }

    /// Makes this configuration's secret the ledger's own, replacing the previous one. Values that were sealed with the previous one can no
    /// longer be opened.
    /// - Returns: where the secret is.
    /// - Throws: ``StoreError``.
    public static func adopt(_ configuration: GatewayConfiguration, store: any AdminStore) async throws -> String {
        if let given = try fromEnvironment(configuration) {
            try await store.setSetting(settingKey, Sealer(given).check)
            return "SESSION_SECRET"
        }
        let place = path(configuration)
        let secret = try read(place) ?? make(place)
        try await store.setSetting(settingKey, Sealer(secret).check)
        return place
    }

    private static func fromEnvironment(_ configuration: GatewayConfiguration) throws -> Secret? {
        guard let given = configuration.bootstrap.sessionSecret else { return nil }
        guard given.reveal().utf8.count >= minimumBytes else {
            throw StoreError.schema("SESSION_SECRET must have at least \(minimumBytes) characters; 'openssl rand -base64 32' makes one")
        }
        return given
    }

    private static func path(_ configuration: GatewayConfiguration) -> String { "\(configuration.dataDirectory)/\(fileName)" }

    private static func read(_ path: String) throws -> Secret? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else { throw StoreError.schema("cannot read \(path)") }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard text.utf8.count >= minimumBytes else {
            throw StoreError.schema("\(path) is cut: it has fewer than \(minimumBytes) characters")
        }
        return Secret(text)
    }

    /// Written to a temporary file and renamed, so that an interrupted start leaves either no file or a complete one.
    private static func make(_ path: String) throws -> Secret {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let text = TokenSecrets.random(43)
        let temporary = path + ".new"
        unlink(temporary)
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreError.schema("cannot write \(temporary): \(String(cString: strerror(errno)))") }
        let bytes = Array((text + "\n").utf8)
        let isWritten = write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        close(file)
        guard isWritten, rename(temporary, path) == 0 else {
            throw StoreError.schema("cannot write \(path): \(String(cString: strerror(errno)))")
        }
        return Secret(text)
    }
}
