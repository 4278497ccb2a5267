public import RouterCore

/// Responses and conversations that users can refer to later. Apart from the ledger: nothing here is about money, and all of it expires.
public protocol ResponseStore: Sendable {
    /// Adds or replaces, in one transaction.
    /// - Returns: those for which there was no room, by their place in the list.
    func keep(_ responses: [StoredResponse], limits: ResponseStoreLimits) async throws -> Set<Int>
    /// - Parameter now: Unix seconds; what has expired by then is not found.
    func response(_ key: StoredResponse.Key, now: Int64) async throws -> StoredResponse?
    /// - Returns: false when there was none.
    func delete(_ key: StoredResponse.Key) async throws -> Bool
    /// Everything of a user.
    func deleteResponses(userID: Int64) async throws
    /// Deletes what has expired, at most so many. - Returns: how many.
    func deleteExpired(now: Int64, limit: Int) async throws -> Int
    /// Bytes in use, by user; those of all users together under 0.
    /// - Parameter users: nil = everybody.
    func responseBytes(of users: Set<Int64>?) async throws -> [Int64: Int64]
    func close() async throws
}
