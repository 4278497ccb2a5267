import Config
import Metering
import NIOCore
import RouterCore
import Storage

/// Records of generations, asked of the vendors with the channels' keys.
struct VendorRecords: GenerationRecords {
    let snapshots: SnapshotHolder
    let transport: any UpstreamTransport

    private static let limit = Duration.seconds(10)

    func usage(of generationID: String, channelID: Int64) async throws(NoGenerationRecord) -> Usage {
        let snapshot = snapshots.snapshot
        guard let channel = snapshot.configuration.routes.channel(id: channelID), let provider = snapshot.provider(of: channel) else {
            throw NoGenerationRecord(reason: "the channel is not configured any more", isFinal: true)
        }
        // The record belongs to the account; which of the channel's keys made the call is not known any more.
        var last = NoGenerationRecord(reason: "the vendor cannot be asked", isFinal: true)
        for key in channel.keys.isEmpty ? [nil] : channel.keys.map(Optional.some) {
            guard let call = provider.call(.generation(id: generationID), baseURL: channel.baseURL, key: key) else { break }
            do throws(TransportFailure) {
                let (status, body) = try await fetch(call, channel)
                if status == 200, let usage = provider.generation(body) { return usage }
                last = NoGenerationRecord(reason: "the vendor answered \(status)")
            } catch {
                last = NoGenerationRecord(reason: "the vendor could not be asked: \(error.kind.rawValue)")
            }
        }
        throw last
    }

    private func fetch(_ call: UpstreamRequest, _ channel: RouterCore.Channel) async throws(TransportFailure) -> (Int, ByteBuffer) {
        let timeouts = AttemptTimeouts(firstByte: Self.limit, idle: Self.limit, total: Self.limit)
        let response = try await transport.send(
            call, options: TransportOptions(timeouts: timeouts, proxy: channel.proxy), cancellation: UpstreamCancellation())
        var body = ByteBuffer()
        while body.readableBytes < 1_048_576, let bytes = try await response.body.next() { body.writeImmutableBuffer(bytes) }
        response.body.cancel()
        return (response.head.status, body)
    }

    /// Rows of an older version of this program name no factor: they get today's.
    func quote(_ record: RequestRecord, price: ModelPrice?, group: String) -> PriceQuote? {
        let snapshot = snapshots.snapshot
        let channel = record.channelID.flatMap { snapshot.configuration.routes.channel(id: $0) }
        let today = channel.flatMap { snapshot.quote($0, record.model, record.upstreamModel, group: group) }
        guard let price else { return today }
        var quote = PriceQuote(price: price, ratio: snapshot.ratio(ofGroup: group), version: record.pricingVersion)
        quote.coversReportedCost = today?.coversReportedCost ?? false
        return quote
    }
}
