import RouterCore
import Storage

/// What a gateway does at its start with requests that were running when it died.
struct Recovery: Sendable {
    let journal: any Journal
    let clock: ServerClock

    /// Settles every open hold by the best knowledge there is: the vendor had the prompt, so the prompt is charged as estimated.
    /// Never silently zero, never more than was held.
    /// - Returns: how many there were.
    func settleOrphans() async throws -> Int {
        let orphans = try await journal.orphans()
        for hold in orphans {
            try await journal.settle(record(hold))
        }
        return orphans.count
    }

    private func record(_ hold: HoldRecord) -> RequestRecord {
        RequestRecord(
            requestID: hold.requestID, userID: hold.userID, tokenID: hold.tokenID, channelID: nil, provider: "",
            model: hold.model, upstreamModel: hold.model, endpoint: hold.endpoint,
            usage: Usage(uncachedInput: hold.promptTokens), usageSource: .estimated,
            charge: min(hold.promptCharge, hold.amount), pricingVersion: hold.pricingVersion, outcome: .recovered,
            status: 0, errorCode: "gateway_stopped", isStream: hold.isStream, attempts: 0, latencyMilliseconds: 0,
            clientIP: hold.clientIP, createdAt: hold.createdAt)
    }
}
