import Config
package import GatewayState
package import Logging
package import Metering
package import NIOCore
package import Platform
package import RouterCore
package import Storage

/// Ends the holds of background responses that vendors make: asks how far a response is, and settles it once from its usage when it is over
/// (docs/decisions/0014-long-lived-holds.md).
package struct ResponseSettler: Sendable {
    private let snapshots: SnapshotHolder
    private let store: any LongHoldStore & PricingStore
    private let meter: Meter
    private let keeper: ResponseKeeper
    private let vendors: VendorResponses
    private let clock: ServerClock
    private let logger: Logger

    package init(
        snapshots: SnapshotHolder, store: any LongHoldStore & PricingStore, meter: Meter, keeper: ResponseKeeper, vendors: VendorResponses,
        clock: ServerClock, logger: Logger
    ) {
        self.snapshots = snapshots
        self.store = store
        self.meter = meter
        self.keeper = keeper
        self.vendors = vendors
        self.clock = clock
        self.logger = logger
    }

    private static let unknown = "the vendor does not know it"

    private var settings: GatewayConfiguration.Responses { snapshots.snapshot.configuration.responses }

    // MARK: Looks

    /// One look at a response. A failure is noted, and another look comes later.
    package func attend(_ hold: LongHold) async {
        do {
            guard let stored = place(hold) else {
                // A response can be asked for by its id alone, and only the lost answer had it.
                logger.notice("a background response has no id; its hold is void", metadata: ["request_id": "\(hold.requestID)"])
                _ = try await end(hold, hold.voidRecord(errorCode: "response_not_created", now: clock.unixSeconds))
                return
            }
            switch await vendors.call(.retrieve(query: ""), stored, now: clock.unixSeconds) {
            case .answer(let body): if try await !seen(body, hold) { try await postpone(hold, "the vendor is not done") }
            case .unknown:
                // A vendor may know a new response a moment late.
                if hold.note == Self.unknown { try await giveUp(hold, Self.unknown) } else { try await postpone(hold, Self.unknown) }
            case .outOfReach: try await postpone(hold, "its channel, or the channel's key, is not in the configuration, or is switched off")
            case .failed(let failure): try await postpone(hold, "the vendor could not be asked: \(failure.kind.rawValue)")
            }
        } catch {
            logger.info(
                "a background response could not be looked at", metadata: ["request_id": "\(hold.requestID)", "error": "\(error)"])
            // The claim ends by itself.
            try? await store.postponeLongHold(hold.requestID, nextAt: nextLook(hold), note: String("\(error)".prefix(500)))
        }
    }

    /// Ends the passes of responses that another gateway has settled. Best effort: the next look comes soon.
    package func endPasses() async {
        do {
            try await meter.endPassesOfEnded(.response)
        } catch {
            logger.debug("the open background responses could not be looked up", metadata: ["error": "\(error)"])
        }
    }

    /// Where the response of a hold is; nil when its id is not known.
    private func place(_ hold: LongHold) -> StoredResponse? {
        hold.objectID.map { id in
            StoredResponse(
                key: .init(userID: hold.userID, id: id), holder: .vendor, maker: .vendor(hold.requestID), model: hold.model,
                upstreamModel: hold.upstreamModel, channelID: hold.channelID, keyFingerprint: hold.keyMark, createdAt: hold.createdAt,
                expiresAt: hold.createdAt + settings.keep.components.seconds)
        }
    }

    /// The first looks come soon, later ones after a tenth of the response's age.
    private func nextLook(_ hold: LongHold) -> Int64 {
        let (soon, late) = (settings.pollInterval.components.seconds, settings.maxPollInterval.components.seconds)
        return clock.unixSeconds + min(max((clock.unixSeconds - hold.createdAt) / 10, soon), late)
    }

    private func postpone(_ hold: LongHold, _ note: String) async throws {
        guard clock.unixSeconds >= hold.deadline else {
            return try await store.postponeLongHold(hold.requestID, nextAt: nextLook(hold), note: note)
        }
        try await giveUp(hold, note)
    }

    /// The vendor has begun it, and what it was worth cannot be found out: the whole hold.
    private func giveUp(_ hold: LongHold, _ note: String) async throws {
        logger.error(
            "a background response is settled by what is known", metadata: ["request_id": "\(hold.requestID)", "why": "\(note)"])
        var record = hold.voidRecord(outcome: .recovered, errorCode: "response_unknown", now: clock.unixSeconds)
        record.charge = hold.amount
        record.usageSource = .estimated
        if try await end(hold, record), let stored = place(hold) { await noteEnd(stored, tokens: 0) }
    }

    // MARK: The end

    /// A vendor's answer about the response of a hold, whoever has asked for it.
    /// - Returns: whether the response is over, and settled now or before.
    /// - Throws: ``StoreError``; asking again is safe.
    package func seen(_ body: ByteBuffer, _ hold: LongHold) async throws -> Bool {
        let tree = try? JSONValue(parsing: body)
        guard BackgroundStatus.isFinal(tree), let tree, let stored = place(hold), tree["id"]?.stringValue == stored.key.id else {
            return false
        }
        let status = tree["status"]?.stringValue ?? ""
        let answer = try await read(tree, hold)
        var record = hold.voidRecord(
            outcome: status == "completed" ? .completed : status == "failed" ? .failed : .truncated,
            errorCode: status == "completed" ? nil : "response_\(status.prefix(40))", now: clock.unixSeconds)
        try await charge(&record, answer, tree, hold)
        _ = try await end(hold, record)
        await noteEnd(stored, tokens: record.charge == nil ? 0 : record.usage.promptTokens + record.usage.completionTokens)
        return true
    }

    /// The same for a response that its user has asked for, whose hold is looked up.
    /// - Returns: whether nothing is held for it any more.
    /// - Throws: ``StoreError``; asking again is safe.
    package func seen(_ body: ByteBuffer, of response: StoredResponse) async throws -> Bool {
        guard case .vendor(let id) = response.maker else { return true }
        guard let hold = try await store.longHold(id), hold.objectID == response.key.id else { return true }
        return try await seen(body, hold)
    }

    /// Reads the answer as one of a request of which nothing but the model is known.
    private func read(_ tree: JSONValue, _ hold: LongHold) async throws -> (progress: AnswerProgress, price: ModelPrice)? {
        let snapshot = snapshots.snapshot
        guard let channel = snapshot.configuration.routes.channel(id: hold.channelID), let provider = snapshot.provider(of: channel) else {
            return nil
        }
        guard let price = try await store.price(version: hold.pricingVersion) ?? hold.fallbackPrice(of: channel) else { return nil }
        // The usage of a failed response is in it like that of any other.
        guard case .object(var members) = tree else { return nil }
        members.removeAll { $0.name == "status" || $0.name == "error" }
        let request = JSONValue.object([.init("model", .string(hold.model)), .init("input", "")])
        do throws(RequestEnvelope.Rejection) {
            let call = UpstreamCall(
                envelope: try RequestEnvelope(body: ByteBuffer(string: request.text), endpoint: .responses),
                channel: SharedChannel(channel), key: nil, model: hold.model, upstreamModel: hold.upstreamModel,
                quote: PriceQuote(price: price, ratio: hold.ratio, version: hold.pricingVersion))
            guard let answer = try? provider.decode(ByteBuffer(string: JSONValue.object(members).text), for: call) else { return nil }
            return (answer.progress, price)
        } catch {
            return nil
        }
    }

    /// By the vendor's figures; where it has none, by the prompt and what it has delivered. A response that has failed without figures is
    /// free.
    private func charge(
        _ record: inout RequestRecord, _ answer: (progress: AnswerProgress, price: ModelPrice)?, _ tree: JSONValue, _ hold: LongHold
    ) async throws {
        let isFreeWithoutFigures = tree["status"]?.stringValue == "failed"
        guard let answer else {
            // Nothing is charged for it at any price.
            if isFreeWithoutFigures, tree["usage"]?.isNull ?? true { return }
            record.charge = hold.amount
            record.usageSource = .estimated
            return
        }
        let detail = try? JSONValue(parsing: ByteBuffer(string: hold.detail))
        var usage: Usage
        if let known = answer.progress.usage {
            usage = known
        } else if isFreeWithoutFigures {
            return
        } else {
            usage = Usage(uncachedInput: detail?["prompt_tokens"]?.integerValue ?? 0, output: answer.progress.estimatedOutputTokens)
            record.usageSource = .estimated
        }
        var quote = PriceQuote(price: answer.price, ratio: hold.ratio, version: hold.pricingVersion, ceiling: hold.ceiling)
        quote.askedTier = detail?["tier"]?.stringValue
        quote.leastSearches = detail?["searches"]?.integerValue ?? 0
        quote.coversReportedCost = detail?["covers_cost"]?.boolValue ?? false
        do throws(MeteringError) {
            let bill = try quote.bill(for: usage)
            usage.serviceTier = bill.serviceTier
            record.charge = bill.charge
            record.uncharged = bill.uncharged
            let snapshot = snapshots.snapshot
            let channel = snapshot.configuration.routes.channel(id: hold.channelID)
            record.vendorCost = VendorCost.of(
                usage, at: channel.flatMap { snapshot.cost($0, upstream: hold.upstreamModel) }, soldAt: quote)
        } catch {
            usage.serviceTier = nil
            record.charge = hold.amount
            record.usageSource = .estimated
        }
        record.usage = usage
        record.finish = answer.progress.finish
    }

    private func end(_ hold: LongHold, _ record: RequestRecord) async throws -> Bool {
        guard try await meter.endLong(record) else { return false }
        logger.info(
            "a background response is settled",
            metadata: [
                "request_id": "\(hold.requestID)", "response": "\(hold.objectID ?? "-")", "held": "\(hold.amount)",
                "charge": "\(record.charge.map { "\($0)" } ?? "none")",
            ])
        return true
    }

    /// It can be continued from now on. - Parameter tokens: what its vendor will read again then.
    private func noteEnd(_ place: StoredResponse, tokens: Int64) async {
        guard let found = try? await keeper.find(place.key.id, userID: place.key.userID), found.maker != nil else { return }
        var over = found
        over.maker = nil
        over.contextTokens = tokens
        keeper.keep(over, replacing: found, settings)
    }
}
