import Foundation
import GatewayState
import Platform
import RouterCore

/// Marks browsers with which users have logged in before, so that other clients' guesses do not slow the users down there. A mark is sealed
/// and names its user; it grants no access, only a throttle of its own before the password check.
struct KnownDevices: Sendable {
    struct Mark: Sendable, Hashable {
        var userID: Int64
        /// Random; throttles count by it.
        var id: String
        /// Unix seconds.
        var madeAt: Int64
    }

    static let cookieName = "apirouter_device"
    /// Seconds.
    static let lifetime: Int64 = 180 * 86_400
    /// Seconds after which a mark is renewed when it is used.
    private static let renewal: Int64 = 30 * 86_400
    private static let maximumText = 400

    let sealer: Sealer
    let clock: ServerClock

    /// - Parameter cookie: the request's cookie; nil = it has none.
    /// - Returns: the mark, when it belongs to this user.
    func mark(_ cookie: String?, of userID: Int64) -> Mark? {
        guard let cookie, cookie.utf8.count <= Self.maximumText, let sealed = Self.bytes(cookie),
            let text = sealer.open(sealed, for: .knownDevice)
        else { return nil }
        let parts = text.split(separator: " ")
        guard parts.count == 3, let owner = Int64(parts[0]), owner == userID, let madeAt = Int64(parts[2]),
            madeAt + Self.lifetime > clock.unixSeconds
        else { return nil }
        return Mark(userID: owner, id: String(parts[1]), madeAt: madeAt)
    }

    /// The cookie's value for a browser that has just logged in; nil when its present mark need not be renewed.
    func renewed(_ mark: Mark?, of userID: Int64) throws -> String? {
        let now = clock.unixSeconds
        if let mark, mark.madeAt + Self.renewal > now { return nil }
        let sealed = try sealer.seal("\(userID) \(TokenSecrets.random(16)) \(now)", for: .knownDevice)
        return Self.text(sealed)
    }

    private static func text(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let plain = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
        return Data(base64Encoded: plain + String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4)).map { Array($0) }
    }
}
