public import RouterCore

extension SQLStore {
    public func post(_ records: [RequestRecord], holder: LeaseHolder?) async throws -> PostingResult {
        try await database.moneyWrite { try $0.post(records, holder: holder) }
    }
}
