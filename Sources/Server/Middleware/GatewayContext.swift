import Hummingbird
import Logging
import NIOCore
import RouterCore
import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What is known of a request while it is worked on.
struct GatewayContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any NIOCore.Channel
    /// Set by the outermost middleware.
    var requestID = RouterCore.RequestID(bits: 0)
    var receivedAt = MonotonicInstant(nanoseconds: 0)
    /// Set by the access check.
    var principal = Principal.anonymous

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }

    /// The peer's address as the socket knows it; forwarding headers are anybody's to write and are not believed.
    var clientIP: String { channel.remoteAddress?.ipAddress ?? "" }
}

/// Who asks.
enum Principal: Sendable {
    case anonymous
    case key(KeyPrincipal)
    case user(User)
}

/// The owner of an API key and what the key may do.
struct KeyPrincipal: Sendable {
    var userID: Int64
    var tokenID: Int64
    var group: String
    /// Empty = all. An entry may end in `*`.
    var models: [String]
    var addresses: [AddressRange]
    /// Of the key and of its user; all of them hold.
    var budgets: [BudgetLimit] = []

    func allows(model: String) -> Bool {
        models.isEmpty
            || models.contains { $0 == model || ($0.hasSuffix("*") && model.hasPrefix($0.dropLast())) }
    }

    func allows(address: String) -> Bool {
        if addresses.isEmpty { return true }
        let bytes = AddressRange.bytes(of: address)
        return bytes.map { bytes in addresses.contains { $0.contains(bytes) } } ?? false
    }
}

/// An address or a block of them: `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`.
struct AddressRange: Sendable, Hashable {
    private let bytes: [UInt8]
    private let prefix: Int

    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = parts.first, let bytes = Self.bytes(of: String(address)) else { return nil }
        self.bytes = bytes
        if parts.count == 2 {
            guard let prefix = Int(parts[1]), (0...bytes.count * 8).contains(prefix) else { return nil }
            self.prefix = prefix
        } else {
            prefix = bytes.count * 8
        }
    }

    func contains(_ address: String) -> Bool { Self.bytes(of: address).map(contains) ?? false }

    fileprivate func contains(_ other: [UInt8]) -> Bool {
        guard other.count == bytes.count else { return false }
        for bit in 0..<prefix {
            let mask = UInt8(0x80 >> (bit % 8))
            if bytes[bit / 8] & mask != other[bit / 8] & mask { return false }
        }
        return true
    }

    /// Four bytes, or sixteen. An IPv4 client of a socket that takes both kinds comes as `::ffff:10.0.0.7` and is what it was.
    fileprivate static func bytes(of address: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, address, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
        var six = in6_addr()
        guard inet_pton(AF_INET6, address, &six) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: six) { Array($0) }
        return bytes.starts(with: mapped) ? Array(bytes.dropFirst(mapped.count)) : bytes
    }

    private static let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
}
