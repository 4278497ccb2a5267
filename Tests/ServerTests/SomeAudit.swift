import Metering
import RouterCore
import Storage

@testable import Gateway
@testable import GatewayState
@testable import Server

extension AuditEntry {
    /// For changes in tests that are not about records.
    static let some = AuditEntry(actorID: nil, action: "test", at: 1)
}

extension Store {
    func createUser(_ user: NewUser) async throws -> User { try await createUser(user, audit: .some) }
    func changeUser(id: Int64, _ change: UserChange) async throws -> User {
        try await changeUser(id: id, change, audit: .some)
    }
    func deleteUser(id: Int64) async throws { try await deleteUser(id: id, audit: .some) }
    func addAccessToken(userID: Int64, hash: [UInt8], expiresAt: Int64?, createdAt: Int64) async throws {
        try await addAccessToken(userID: userID, hash: hash, expiresAt: expiresAt, createdAt: createdAt, audit: .some)
    }
    func createToken(_ token: Token) async throws -> Token { try await createToken(token, audit: .some) }
    func changeToken(id: Int64, _ change: TokenChange) async throws -> Token {
        try await changeToken(id: id, change, audit: .some)
    }
    func deleteToken(id: Int64) async throws { try await deleteToken(id: id, audit: .some) }
    func setPrice(_ row: PricingRow, now: Int64) async throws -> PricingRow {
        try await setPrice(row, now: now, audit: .some)
    }
    func post(_ posting: LedgerPosting) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await post(posting, audit: .some)
    }
    func refund(
        reference: String, amount: NanoUSD?, description: String, now: Int64
    ) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await refund(
            Refund(reference: reference, amount: amount, description: description, createdAt: now), audit: .some)
    }
}

extension Meter {
    func credit(_ posting: LedgerPosting) async throws -> (entry: LedgerEntry, isNew: Bool) {
        try await credit(posting, audit: .some)
    }
}
