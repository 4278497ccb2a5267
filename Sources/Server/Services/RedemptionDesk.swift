import GatewayState
import RouterCore
public import Storage

/// Makes redemption codes: for the API and for `apirouter code`.
public enum RedemptionDesk {
    /// A field of a new batch that is wrong, for the person who has asked for it.
    public struct Problem: Error, Sendable {
        public var field: String
        /// The allowed values, in words.
        public var expected: String
        public var message: String { "'\(field)' must be \(expected)" }
    }

    public static let mostCodes: Int64 = 10_000
    /// A million dollars: a larger code is a typing error.
    static let largestAmount = NanoUSD(nanos: 1_000_000_000_000_000)
    private static let mostSeconds: Int64 = 100 * 366 * 86_400

    /// Makes a batch and its codes. They are returned this once; what is stored cannot be redeemed.
    /// - Throws: ``Problem``, ``StoreError``.
    public static func create(
        _ batch: RedemptionBatch, in store: any RedemptionStore, audit: AuditEntry
    ) async throws -> (batch: RedemptionBatch, codes: [String]) {
        try check(batch)
        let codes = (0..<batch.codes).map { _ in RedemptionText.new() }
        let secrets = codes.map { RedemptionSecret(hash: TokenSecrets.hash($0), prefix: String($0.prefix(RedemptionText.shown))) }
        let created = try await store.createRedemptionBatch(batch, codes: secrets, audit: audit)
        return (created, codes.map(RedemptionText.readable))
    }

    private static func check(_ batch: RedemptionBatch) throws {
        func demand(_ isFine: Bool, _ field: String, _ expected: String) throws {
            if !isFine { throw Problem(field: field, expected: expected) }
        }
        let name = batch.name.utf8.count
        try demand((1...100).contains(name) && !batch.name.utf8.contains(0), "name", "a text of 1 to 100 bytes")
        try demand(batch.amount.isPositive && batch.amount <= largestAmount, "amount", "an amount in USD of more than 0, up to 1000000")
        try demand((1...mostCodes).contains(batch.codes), "count", "a whole number from 1 to \(mostCodes)")
        if let seconds = batch.giftSeconds {
            try demand(batch.kind == .gift, "gift_seconds", "left out for cash, which has no end")
            try demand((1...mostSeconds).contains(seconds), "gift_seconds", "seconds from 1 to a hundred years")
        }
        if let end = batch.expiresAt { try demand(end > batch.createdAt, "expires_at", "Unix seconds in the future") }
        if let most = batch.perAccount {
            try demand((1...mostCodes).contains(most), "per_account", "a whole number from 1 to \(mostCodes)")
        }
        try demand(batch.groups.count <= 100, "groups", "at most 100 groups")
    }

    /// SHA-256 of a code as somebody has typed it; nil for what no code can be.
    static func hash(typed text: String) -> [UInt8]? { RedemptionText.normal(text).map(TokenSecrets.hash) }
}

/// The text of a code: 26 characters of Crockford's base 32, which has no letters that are taken for digits; 130 random bits.
enum RedemptionText {
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    private static let length = 26
    /// Characters that stay readable where codes are listed; 105 bits remain secret.
    static let shown = 5

    static func new() -> String {
        // The standard library's system generator is the kernel's CSPRNG.
        var generator = SystemRandomNumberGenerator()
        return String((0..<length).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }

    /// In groups, as people read it: `7Q2MX-…`.
    static func readable(_ code: String) -> String {
        let characters = Array(code)
        return stride(from: 0, to: 25, by: 5).map { start in
            String(characters[start..<(start == 20 ? characters.count : start + 5)])
        }.joined(separator: "-")
    }

    /// The code as it was made: in capitals, without spaces and hyphens, and with digits for the letters that look like them.
    static func normal(_ text: String) -> String? {
        guard text.utf8.count <= 100 else { return nil }
        var code: [Character] = []
        for character in text.uppercased() where character != "-" && !character.isWhitespace {
            switch character {
            case "O": code.append("0")
            case "I", "L": code.append("1")
            default:
                guard alphabet.contains(character) else { return nil }
                code.append(character)
            }
        }
        return code.count == length ? String(code) : nil
    }
}
