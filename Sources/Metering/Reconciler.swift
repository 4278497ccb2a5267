package import Logging
package import Platform
import RouterCore
import ServiceLifecycle
package import Storage

/// Asks vendors for the true usage of requests that were charged by our own count, and corrects the charges with adjustments.
///
/// Only where the vendor returned a generation id and its adaptor can query it (OpenRouter's `GET /generation?id=`, whose records appear
/// seconds after the end, later for interrupted streams).
package struct Reconciler: Service {
    private let records: any GenerationRecords
    private let meter: Meter
    private let store: any ReconciliationStore & PricingStore & LogStore & UserStore
    private let clock: ServerClock
    private let logger: Logger

    package init(
        records: any GenerationRecords, meter: Meter, store: any ReconciliationStore & PricingStore & LogStore & UserStore,
        clock: ServerClock, logger: Logger
    ) {
        self.records = records
        self.meter = meter
        self.store = store
        self.clock = clock
        self.logger = logger
    }

    private static let interval = Duration.seconds(1)
    /// Seconds between attempts; after the last one the estimate stands and is listed at `/api/ledger/unreconciled`.
    static let schedule: [Int64] = [2, 10, 60, 600, 3_600]
    private static let group = 20

    package func run() async throws {
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
            for row in try await store.dueReconciliations(now: clock.unixSeconds, limit: Self.group) {
                if Task.isCancelled { return }
                await attempt(row)
            }
        } catch {
            logger.debug("estimates could not be looked up", metadata: ["error": "\(error)"])
        }
    }

    /// A row that the ledger rejects must not hold up the others.
    private func attempt(_ row: ReconciliationRow) async {
        do {
            try await resolve(row)
        } catch {
            logger.warning(
                "an estimate could not be reconciled", metadata: ["request_id": "\(row.requestID)", "error": "\(error)"])
            do {
                try await postpone(row, note: "the ledger did not take the correction: \(error)", isFinal: false)
            } catch {
                // The ledger is unreachable; the row will be due again when it is back.
                logger.debug("the next try could not be noted", metadata: ["error": "\(error)"])
            }
        }
    }

    private func postpone(_ row: ReconciliationRow, note: String, isFinal: Bool) async throws {
        let isLast = isFinal || row.tries + 1 >= Self.schedule.count
        let next = isLast ? nil : clock.unixSeconds + Self.schedule[row.tries + 1]
        try await store.postponeReconciliation(row.requestID, nextAt: next, note: note)
    }

    private func resolve(_ row: ReconciliationRow) async throws {
        switch await ask(row) {
        case .success(let usage):
            guard let (bill, cost) = try await bill(row, usage) else {
                return try await store.postponeReconciliation(
                    row.requestID, nextAt: nil, note: "the vendor's figures cannot be priced")
            }
            try await meter.reconcile(row, usage: usage, bill: bill, cost: cost)
            logger.info(
                "an estimate was reconciled",
                metadata: ["request_id": "\(row.requestID)", "estimated": "\(row.charge)", "charge": "\(bill.charge)"])
        case .failure(let failure):
            try await postpone(row, note: failure.reason, isFinal: failure.isFinal)
        }
    }

    private func ask(_ row: ReconciliationRow) async -> Result<Usage, NoGenerationRecord> {
        guard let id = row.generationID, let channelID = row.channelID else {
            return .failure(NoGenerationRecord(reason: "the channel is not configured any more", isFinal: true))
        }
        do throws(NoGenerationRecord) {
            return .success(try await records.usage(of: id, channelID: channelID))
        } catch {
            return .failure(error)
        }
    }

    /// The bill at the price, the group factor and the limit that applied to the request, and its cost.
    private func bill(_ row: ReconciliationRow, _ usage: Usage) async throws -> (bill: Bill, cost: VendorCost?)? {
        var query = LogQuery(page: PageRequest(page: 1, size: 1))
        query.requestID = row.requestID
        guard let record = try await store.logs(query).items.first?.record else { return nil }
        var usage = usage
        usage.serviceTier = usage.serviceTier ?? record.usage.serviceTier
        let price = try await store.price(version: record.pricingVersion)
        let group = try await store.user(id: row.userID)?.group ?? "default"
        guard var quote = records.quote(record, price: price, group: group) else { return nil }
        quote.ratio = record.ratio ?? quote.ratio
        quote.ceiling = record.ceiling
        guard let bill = try? quote.bill(for: usage) else { return nil }
        let cost = records.cost(record, usage)
        return (bill, cost.map { record.attemptList.costOfFailures?.adding($0) ?? $0 })
    }
}
