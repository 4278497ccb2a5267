import Config
import Logging
import NIOCore
import RouterCore
import ServiceLifecycle
import Storage

/// Asks vendors afterwards what requests really used that were charged by our own count, and corrects the charge with an adjustment.
///
/// Only where the vendor gave an id of the generation and its adaptor knows how to ask (OpenRouter's `GET /generation?id=`, whose records
/// appear seconds after the end, later for interrupted streams).
struct Reconciler: Service {
    let services: GatewayServices

    private static let interval = Duration.seconds(1)
    /// Seconds from one try to the next; after the last one the estimate stands and is listed at `/api/ledger/unreconciled`.
    static let schedule: [Int64] = [2, 10, 60, 600, 3_600]
    private static let limit = Duration.seconds(10)
    private static let group = 20

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                if Task.isCancelled { return }
                await self.round()
            }
        }
    }

    private func round() async {
        do {
            for row in try await services.store.dueReconciliations(now: services.clock.unixSeconds, limit: Self.group) {
                if Task.isCancelled { return }
                await attempt(row)
            }
        } catch {
            services.logger.debug("estimates could not be looked up", metadata: ["error": "\(error)"])
        }
    }

    /// One row that the ledger does not take must not keep the others from their turn.
    private func attempt(_ row: ReconciliationRow) async {
        do {
            try await resolve(row)
        } catch {
            services.logger.warning(
                "an estimate could not be reconciled", metadata: ["request_id": "\(row.requestID)", "error": "\(error)"])
            do {
                try await postpone(row, note: "the ledger did not take the correction: \(error)", isFinal: false)
            } catch {
                // The ledger is away; the row is due again when it is back.
                services.logger.debug("the next try could not be noted", metadata: ["error": "\(error)"])
            }
        }
    }

    private func postpone(_ row: ReconciliationRow, note: String, isFinal: Bool) async throws {
        let isLast = isFinal || row.tries + 1 >= Self.schedule.count
        let next = isLast ? nil : services.clock.unixSeconds + Self.schedule[row.tries + 1]
        try await services.store.postponeReconciliation(row.requestID, nextAt: next, note: note)
    }

    private func resolve(_ row: ReconciliationRow) async throws {
        switch await ask(row) {
        case .success(let usage):
            guard let bill = try await bill(row, usage) else {
                return try await services.store.postponeReconciliation(
                    row.requestID, nextAt: nil, note: "the vendor's figures cannot be priced")
            }
            try await services.meter.reconcile(row, usage: usage, bill: bill)
            services.logger.info(
                "an estimate was reconciled",
                metadata: ["request_id": "\(row.requestID)", "estimated": "\(row.charge)", "charge": "\(bill.charge)"])
        case .failure(let failure):
            try await postpone(row, note: failure.reason, isFinal: failure.isFinal)
        }
    }

    struct NoAnswer: Error {
        var reason: String
        var isFinal = false
    }

    private func ask(_ row: ReconciliationRow) async -> Result<Usage, NoAnswer> {
        let snapshot = services.snapshots.snapshot
        guard let id = row.generationID, let channelID = row.channelID,
            let channel = snapshot.configuration.routes.channel(id: channelID), let provider = snapshot.provider(of: channel)
        else { return .failure(NoAnswer(reason: "the channel is not configured any more", isFinal: true)) }
        // The record belongs to the account; which of the channel's keys made the call is not known any more.
        var last = NoAnswer(reason: "the vendor cannot be asked", isFinal: true)
        for key in channel.keys.isEmpty ? [nil] : channel.keys.map(Optional.some) {
            guard let call = provider.call(.generation(id: id), baseURL: channel.baseURL, key: key) else { break }
            do throws(TransportFailure) {
                let (status, body) = try await fetch(call, channel)
                if status == 200, let usage = provider.generation(body) { return .success(usage) }
                last = NoAnswer(reason: "the vendor answered \(status)")
            } catch {
                last = NoAnswer(reason: "the vendor could not be asked: \(error.kind.rawValue)")
            }
        }
        return .failure(last)
    }

    private func fetch(_ call: UpstreamRequest, _ channel: RouterCore.Channel) async throws(TransportFailure) -> (Int, ByteBuffer) {
        let timeouts = AttemptTimeouts(firstByte: Self.limit, idle: Self.limit, total: Self.limit)
        let response = try await services.transport.send(
            call, options: TransportOptions(timeouts: timeouts, proxy: channel.proxy), cancellation: UpstreamCancellation())
        var body = ByteBuffer()
        while body.readableBytes < 1_048_576, let bytes = try await response.body.next() { body.writeImmutableBuffer(bytes) }
        response.body.cancel()
        return (response.head.status, body)
    }

    /// By the price, the group's factor and the bound of that time. Rows of an older version have no factor: they get today's.
    private func bill(_ row: ReconciliationRow, _ usage: Usage) async throws -> Bill? {
        var query = LogQuery(page: PageRequest(page: 1, size: 1))
        query.requestID = row.requestID
        guard let record = try await services.store.logs(query).items.first?.record else { return nil }
        var usage = usage
        usage.serviceTier = usage.serviceTier ?? record.usage.serviceTier
        let snapshot = services.snapshots.snapshot
        let group = try await services.store.user(id: row.userID)?.group ?? "default"
        var quote: PriceQuote?
        if let price = try await services.store.price(version: record.pricingVersion) {
            quote = PriceQuote(price: price, ratio: snapshot.ratio(ofGroup: group), version: record.pricingVersion)
            if let id = row.channelID, let channel = snapshot.configuration.routes.channel(id: id) {
                let now = services.prices.quote(channel, record.model, record.upstreamModel, snapshot, group: group)
                quote?.coversReportedCost = now?.coversReportedCost ?? false
            }
        } else if let id = row.channelID, let channel = snapshot.configuration.routes.channel(id: id) {
            quote = services.prices.quote(channel, record.model, record.upstreamModel, snapshot, group: group)
        }
        guard var quote else { return nil }
        quote.ratio = record.ratio ?? quote.ratio
        quote.ceiling = record.ceiling
        return try? quote.bill(for: usage)
    }
}
