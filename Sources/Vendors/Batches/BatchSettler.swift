import Config
package import GatewayState
package import Logging
package import Metering
import NIOCore
package import Platform
package import RouterCore
package import Storage

/// Ends the holds of batches: asks the vendor how far a batch is, and settles it once from its output when it is over
/// (docs/decisions/0014-long-lived-holds.md).
package struct BatchSettler: Sendable {
    private let snapshots: SnapshotHolder
    private let store: any LongHoldStore & VendorObjectStore & PricingStore
    private let meter: Meter
    private let client: VendorClient
    private let clock: ServerClock
    private let logger: Logger

    package init(
        snapshots: SnapshotHolder, store: any LongHoldStore & VendorObjectStore & PricingStore, meter: Meter, client: VendorClient,
        clock: ServerClock, logger: Logger
    ) {
        self.snapshots = snapshots
        self.store = store
        self.meter = meter
        self.client = client
        self.clock = clock
        self.logger = logger
    }

    /// Pages of a hundred batches that are searched for one whose id is not known.
    private static let pages = 10
    private static let shortfall = "the output has fewer answers than the batch counts"
    private static let notFound = "the vendor has no batch for it yet"

    /// One look at a batch. A failure is noted, and another look comes later.
    package func attend(_ hold: LongHold) async {
        do {
            guard let place = BatchPlace(channelID: hold.channelID, keyMark: hold.keyMark, in: snapshots.snapshot) else {
                return try await postpone(hold, "its channel, or the channel's key, is no longer configured")
            }
            let vendor = BatchVendor(place, client: client, clock: clock)
            if let id = hold.objectID {
                try await look(hold, try await vendor.object(.batch(id: id)), place, vendor)
            } else {
                try await search(hold, place, vendor)
            }
        } catch {
            let note = (error as? UpstreamFailure).map { "the vendor could not be asked: \($0.kind.rawValue) \($0.detail)" } ?? "\(error)"
            logger.info("a batch could not be looked at", metadata: ["request_id": "\(hold.requestID)", "error": "\(note)"])
            do {
                try await postpone(hold, String(note.prefix(500)))
            } catch {
                // The claim ends by itself.
                logger.debug("the next look at a batch could not be noted", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Looks again later, or gives up when the deadline has passed.
    private func postpone(_ hold: LongHold, _ note: String) async throws {
        guard clock.unixSeconds >= hold.deadline else {
            return try await store.postponeLongHold(hold.requestID, nextAt: nextLook(hold), note: note)
        }
        logger.error(
            "a batch is past its deadline and is settled by what is known", metadata: ["request_id": "\(hold.requestID)", "why": "\(note)"])
        var record = record(hold, outcome: .recovered, errorCode: "batch_unknown")
        if hold.objectID != nil {
            record.charge = hold.amount
            record.usageSource = .estimated
        }
        try await end(hold, record)
    }

    /// The first looks come soon, later ones after a tenth of the batch's age.
    private func nextLook(_ hold: LongHold) -> Int64 {
        let batches = snapshots.snapshot.configuration.batches
        let (soon, late) = (batches.pollInterval.components.seconds, batches.maxPollInterval.components.seconds)
        return clock.unixSeconds + min(max((clock.unixSeconds - hold.createdAt) / 10, soon), late)
    }

    // MARK: Batches whose creation was not answered

    /// Finds the batch that the vendor may have made although its answer was lost, by our mark in its metadata.
    private func search(_ hold: LongHold, _ place: BatchPlace, _ vendor: BatchVendor) async throws {
        var after: String?
        for _ in 0..<Self.pages {
            let page = try await vendor.object(.list(after: after))
            let items = page["data"]?.arrayValue ?? []
            if let found = items.first(where: { BatchObjects.requestID($0) == hold.requestID }), let id = found["id"]?.stringValue {
                return try await adopt(hold, id, found)
            }
            after = items.last?["id"]?.stringValue
            guard page["has_more"]?.boolValue == true, after != nil else { break }
        }
        // A vendor may list a new batch a moment late.
        guard hold.note == Self.notFound else {
            return try await store.postponeLongHold(hold.requestID, nextAt: nextLook(hold), note: Self.notFound)
        }
        logger.notice("a batch was never made; its hold is void", metadata: ["request_id": "\(hold.requestID)"])
        try await end(hold, record(hold, outcome: .failed, errorCode: "batch_not_created"))
    }

    private func adopt(_ hold: LongHold, _ id: String, _ batch: JSONValue) async throws {
        guard try await store.bindLongHold(hold.requestID, objectID: id, nextAt: clock.unixSeconds) else { return }
        try await store.addVendorObject(BatchObjects.row(hold, id: id, batch))
        logger.notice("a batch whose creation was not answered was found", metadata: ["request_id": "\(hold.requestID)", "batch": "\(id)"])
    }

    // MARK: Batches that the vendor has

    private func look(_ hold: LongHold, _ batch: JSONValue, _ place: BatchPlace, _ vendor: BatchVendor) async throws {
        guard let id = hold.objectID else { return }
        // Where the process died between the binding and the index, the row comes now.
        let row = BatchObjects.row(hold, id: id, batch)
        try await store.addVendorObject(row)
        let known = try await store.vendorObject(.batch, id: id, userID: hold.userID) ?? row
        try await store.note(batch, of: known, at: clock.unixSeconds)
        guard BatchObjects.isOver(batch) else {
            return try await postpone(hold, "the vendor says: \(batch["status"]?.stringValue?.prefix(40) ?? "nothing")")
        }
        let completed = batch["request_counts"]?["completed"]?.integerValue ?? 0
        guard let output = batch["output_file_id"]?.stringValue, !output.isEmpty else {
            if completed > 0 { return try await postpone(hold, "the output is not there yet") }
            return try await end(hold, record(hold, outcome: .failed, errorCode: "batch_\(batch["status"]?.stringValue ?? "failed")"))
        }
        let total = try await sum(hold, output, place, vendor)
        if total.answers < completed, hold.note != Self.shortfall { return try await postpone(hold, Self.shortfall) }
        var bill = total.bill
        var cost = total.cost
        for _ in 0..<min(max(0, completed - total.answers), summary(hold).lines) {
            try bill.add(average(hold), isEstimated: true)
            cost.add(average(hold))
        }
        try await settle(hold, bill, cost.total, status: batch["status"]?.stringValue ?? "")
    }

    /// Reads an output file as it comes, and adds up what its answers have used.
    private func sum(
        _ hold: LongHold, _ output: String, _ place: BatchPlace, _ vendor: BatchVendor
    ) async throws -> (bill: BatchBill, cost: BatchCost, answers: Int64) {
        let quote = try await quote(hold, place)
        let lines = try BatchLines(place, model: hold.model, upstreamModel: hold.upstreamModel, endpoint: hold.endpoint, quote: quote)
        var bill = BatchBill(quote)
        var cost = BatchCost(snapshots.snapshot.cost(place.channel.value, upstream: hold.upstreamModel))
        var answers: Int64 = 0
        var splitter = LineSplitter(maximum: BatchLines.largestLine)
        func count(_ usage: Usage, isEstimated: Bool) throws {
            try bill.add(usage, isEstimated: isEstimated)
            cost.add(usage)
        }
        func add(_ line: ByteBuffer) throws {
            if line.readableBytes == 0 { return }
            switch lines.read(line) {
            case .failure: return
            case .unreadable: try count(average(hold), isEstimated: true)
            case .answer(let answer, let usage):
                var estimate = average(hold)
                estimate.output = answer.progress.estimatedOutputTokens
                try count(usage ?? estimate, isEstimated: usage == nil)
            }
            answers += 1
        }
        let body = try await vendor.open(.content(id: output))
        while let bytes = try await body.next() {
            splitter.push(bytes)
            while let line = splitter.next() { try add(line) }
        }
        if let line = splitter.last() { try add(line) }
        for _ in 0..<splitter.dropped {
            try count(average(hold), isEstimated: true)
            answers += 1
        }
        return (bill, cost, answers)
    }

    /// The prices that held when the batch was made.
    private func quote(_ hold: LongHold, _ place: BatchPlace) async throws -> PriceQuote {
        let version = try await store.price(version: hold.pricingVersion)
        guard let price = version ?? hold.fallbackPrice(of: place.channel.value) else {
            // As where the channel is gone: it is asked for until the deadline, and then the hold is the charge.
            throw StoreError.database("the price version \(hold.pricingVersion) is unknown, and its provider has no default_price")
        }
        guard let ofBatch = price.ofBatch else { throw StoreError.database("the price version \(hold.pricingVersion) has no batch tier") }
        return PriceQuote(price: ofBatch, ratio: hold.ratio, version: hold.pricingVersion, ceiling: hold.ceiling)
    }

    private func summary(_ hold: LongHold) -> BatchSummary {
        let detail = try? JSONValue(parsing: ByteBuffer(string: hold.detail))
        return detail?["summary"].flatMap { BatchSummary($0) } ?? BatchSummary()
    }

    /// For an answer that cannot be read: what was held for it.
    private func average(_ hold: LongHold) -> Usage {
        let summary = summary(hold)
        let lines = max(1, summary.lines)
        return Usage(uncachedInput: summary.promptTokens / lines, output: summary.outputTokens / lines)
    }

    // MARK: The end

    private func settle(_ hold: LongHold, _ bill: BatchBill, _ cost: VendorCost?, status: String) async throws {
        let total = try bill.total()
        var record = record(hold, outcome: status == "completed" ? .completed : .truncated, errorCode: nil)
        if status != "completed" { record.errorCode = "batch_\(status)" }
        record.usage = bill.usage
        record.charge = total.charge
        record.uncharged = total.uncharged
        record.vendorCost = cost
        if bill.estimated > 0 { record.usageSource = .estimated }
        try await end(hold, record)
    }

    private func record(_ hold: LongHold, outcome: RequestRecord.Outcome, errorCode: String?) -> RequestRecord {
        hold.record(outcome: outcome, errorCode: errorCode, now: clock.unixSeconds)
    }

    private func end(_ hold: LongHold, _ record: RequestRecord) async throws {
        guard try await meter.endLong(record) else { return }
        logger.info(
            "a batch is settled",
            metadata: [
                "request_id": "\(hold.requestID)", "batch": "\(hold.objectID ?? "-")", "held": "\(hold.amount)",
                "charge": "\(record.charge.map { "\($0)" } ?? "none")",
            ])
    }
}

extension LongHold {
    /// The price where that of the hold's version is not to be found; nil = nobody knows it. What nothing was held for is free.
    func fallbackPrice(of channel: RouterCore.Channel) -> ModelPrice? {
        channel.provider.defaultPrice ?? (amount.isPositive ? nil : .free)
    }

    /// The record that ends this hold without a charge.
    package func record(outcome: RequestRecord.Outcome, errorCode: String?, now: Int64) -> RequestRecord {
        voidRecord(outcome: outcome, errorCode: errorCode, serviceTier: ModelPrice.batchTier, now: now)
    }
}
