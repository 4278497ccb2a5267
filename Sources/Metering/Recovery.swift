package import Logging
import RouterCore
import Storage

/// Handles, at start-up, what an earlier life of the gateway has left: leases, requests that were running, and settlements that are not in
/// the ledger.
package struct Recovery: Sendable {
    let meter: Meter
    private let poster: Poster
    private let logger: Logger

    package init(meter: Meter, poster: Poster, logger: Logger) {
        self.meter = meter
        self.poster = poster
        self.logger = logger
    }

    /// - Throws: ``StoreError``.
    package func start() async throws {
        let isMember = try await meter.join(mayChange: try await meter.journal.orphans().isEmpty, logger: logger)
        if isMember {
            try await finish()
        } else {
            // Ended requests are charged regardless of who has the identity. Running ones may belong to another gateway.
            try await poster.drainOnce()
        }
    }

    /// Called once a second while another life has the identity. - Returns: true when this gateway has its place.
    func startAgain() async throws -> Bool {
        guard try await meter.join(mayChange: false, logger: logger) else { return false }
        try await finish()
        logger.notice(
            "the other gateway is gone; this one takes calls", metadata: ["gateway": "\(meter.holder.gatewayID)"])
        return true
    }

    /// Posts the settlements of an earlier life out of its own leases, before anything is spent.
    private func finish() async throws {
        let recovered = try await Self.settleOrphans(meter)
        if recovered > 0 {
            logger.notice(
                "requests that were running at the last stop were settled", metadata: ["count": "\(recovered)"])
        }
        try await poster.drainOnce()
        try await meter.takePlace()
    }

    /// Settles every open hold as accurately as possible: by the delivered content of the last progress record, or else by the prompt,
    /// which the vendor had received. Never silently zero, never more than was held. Where the vendor returned a generation id, the
    /// ``Reconciler`` asks for the true figures later.
    /// - Returns: the number of holds.
    static func settleOrphans(_ meter: Meter) async throws -> Int {
        let orphans = try await meter.journal.orphans()
        for (hold, progress) in orphans { try await meter.journalAgain(record(hold, progress)) }
        return orphans.count
    }

    static func record(_ hold: HoldRecord, _ progress: ProgressRecord?) -> RequestRecord {
        var record = RequestRecord(
            requestID: hold.requestID, userID: hold.userID, tokenID: hold.tokenID, channelID: progress?.channelID,
            provider: progress?.provider ?? "", model: progress?.model ?? hold.model,
            upstreamModel: progress?.upstreamModel ?? hold.model, endpoint: hold.endpoint,
            usage: Usage(
                uncachedInput: progress?.promptTokens ?? hold.promptTokens, output: progress?.completionTokens ?? 0),
            usageSource: .estimated, charge: min(progress?.charge ?? hold.promptCharge, hold.amount),
            ceiling: hold.ceiling, ratio: hold.ratio, pricingVersion: progress?.pricingVersion ?? hold.pricingVersion,
            outcome: .recovered, status: 0,
            errorCode: "gateway_stopped", isStream: hold.isStream, attempts: progress == nil ? 0 : 1,
            generationID: progress?.generationID, latencyMilliseconds: 0, clientIP: hold.clientIP,
            createdAt: hold.createdAt, accountID: hold.accountID)
        record.vendorCost = progress?.cost.map { VendorCost($0, .computed) }
        return record
    }
}
