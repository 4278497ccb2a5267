import Config
package import GatewayState
package import Metering
package import RouterCore
import Storage

/// Records of generations, asked of the vendors with the channels' keys.
package struct VendorRecords: GenerationRecords {
    private let snapshots: SnapshotHolder
    private let client: VendorClient

    package init(snapshots: SnapshotHolder, client: VendorClient) {
        self.snapshots = snapshots
        self.client = client
    }

    private static let limit = Duration.seconds(10)

    package func usage(of generationID: String, channelID: Int64) async throws(NoGenerationRecord) -> Usage {
        let snapshot = snapshots.snapshot
        guard let channel = snapshot.configuration.routes.channel(id: channelID), let provider = snapshot.provider(of: channel) else {
            throw NoGenerationRecord(reason: "the channel is not configured any more", isFinal: true)
        }
        // The record belongs to the account; which of the channel's keys made the call is not known any more.
        var last = NoGenerationRecord(reason: "the vendor cannot be asked", isFinal: true)
        for key in channel.keys.isEmpty ? [nil] : channel.keys.map(Optional.some) {
            guard let call = provider.call(.generation(id: generationID), baseURL: channel.baseURL, key: key) else { break }
            do throws(TransportFailure) {
                let (head, body) = try await client.call(call, proxy: channel.proxy, within: Self.limit, atMost: 1 << 20)
                if head.status == 200, let usage = provider.generation(body) { return usage }
                last = NoGenerationRecord(reason: "the vendor answered \(head.status)")
            } catch {
                last = NoGenerationRecord(reason: "the vendor could not be asked: \(error.kind.rawValue)")
            }
        }
        throw last
    }

    /// Rows of an older version of this program name no factor: they get today's.
    package func quote(_ record: RequestRecord, price: ModelPrice?, group: String) -> PriceQuote? {
        let snapshot = snapshots.snapshot
        let channel = record.channelID.flatMap { snapshot.configuration.routes.channel(id: $0) }
        let today = channel.flatMap { snapshot.quote($0, model: record.model, upstream: record.upstreamModel, group: group) }
        guard let price else { return today }
        var quote = PriceQuote(price: price, ratio: snapshot.ratio(ofGroup: group), version: record.pricingVersion)
        quote.coversReportedCost = today?.coversReportedCost ?? false
        return quote
    }

    package func cost(_ record: RequestRecord, _ usage: Usage) -> VendorCost? {
        let snapshot = snapshots.snapshot
        let channel = record.channelID.flatMap { snapshot.configuration.routes.channel(id: $0) }
        return VendorCost.of(usage, at: channel.flatMap { snapshot.cost($0, upstream: record.upstreamModel) })
    }
}
