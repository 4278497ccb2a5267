import RouterCore
import Storage

/// What a gateway does at its start with requests that were running when it died.
struct Recovery: Sendable {
    let journal: any Journal

    /// Settles every open hold by the best knowledge there is: what had been delivered by the last word of progress, else the prompt, which the
    /// vendor had. Never silently zero, never more than was held. Where the vendor gave an id, the ``Reconciler`` asks for the true figures later.
    /// - Returns: how many there were.
    func settleOrphans() async throws -> Int {
        let orphans = try await journal.orphans()
        for (hold, progress) in orphans { try await journal.settle(Self.record(hold, progress)) }
        return orphans.count
    }

    static func record(_ hold: HoldRecord, _ progress: ProgressRecord?) -> RequestRecord {
        RequestRecord(
            requestID: hold.requestID, userID: hold.userID, tokenID: hold.tokenID, channelID: progress?.channelID,
            provider: progress?.provider ?? "", model: progress?.model ?? hold.model,
            upstreamModel: progress?.upstreamModel ?? hold.model, endpoint: hold.endpoint,
            usage: Usage(uncachedInput: progress?.promptTokens ?? hold.promptTokens, output: progress?.completionTokens ?? 0),
            usageSource: .estimated, charge: min(progress?.charge ?? hold.promptCharge, hold.amount),
            ceiling: hold.ceiling, ratio: hold.ratio, pricingVersion: progress?.pricingVersion ?? hold.pricingVersion, outcome: .recovered, status: 0,
            errorCode: "gateway_stopped", isStream: hold.isStream, attempts: progress == nil ? 0 : 1,
            generationID: progress?.generationID, latencyMilliseconds: 0, clientIP: hold.clientIP, createdAt: hold.createdAt)
    }
}
