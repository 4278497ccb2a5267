import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Logging
import Metering
import NIOCore
import Platform
import RouterCore
import Storage
import Vendors

/// `/v1/batches` (https://platform.openai.com/docs/api-reference/batch): work that a vendor does within a day, held while it runs and
/// settled from its output (``BatchSettler``).
struct BatchesHandlers: Sendable {
    let desk: BatchDesk
    let meter: Meter
    let logger: Logger

    /// Seconds after a batch's window in which its vendor can still be asked for it.
    private static let grace: Int64 = 3 * 86_400
    /// Seconds of the only window that there is (https://platform.openai.com/docs/api-reference/batch/create).
    private static let window: Int64 = 86_400

    // MARK: Creation

    func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        let wish = try BatchWish(try await BatchDesk.body(request))
        guard let file = try await desk.row(.file, wish.file, principal), file.purpose == "batch" else {
            throw APIError.noSuchObject("file", wish.file)
        }
        guard file.endpoint == wish.endpoint else {
            throw APIError.badRequest(
                "'endpoint' must be that of the file's lines, \(BatchSupport.clientURLs[file.endpoint] ?? "")", param: "endpoint")
        }
        guard principal.allows(model: file.model) else { throw APIError.modelNotAllowed(file.model) }
        let (_, place) = try await desk.object(.file, file.id, context)
        let snapshot = desk.snapshots.snapshot
        guard
            try await desk.store.countLongHolds(.batch, userID: principal.userID, accountID: principal.accountID, tokenID: nil).ofUser
                < Int64(snapshot.configuration.batches.maxOpen)
        else {
            throw APIError(
                status: .tooManyRequests, type: "rate_limit_error", code: "too_many_batches",
                message: "This account has \(snapshot.configuration.batches.maxOpen) batches under way; wait for one to end.",
                headers: [.retryAfter: "60"])
        }
        let hold = try hold(wish, file, place, principal, snapshot, context)
        try await take(hold, principal, snapshot)
        return try await start(hold, wish, place, limit: Self.creationLimit(snapshot))
    }

    /// How long the vendor has to answer. Its answer comes before the settler looks for the batch.
    private static func creationLimit(_ snapshot: GatewaySnapshot) -> Duration {
        min(.seconds(60), max(.seconds(5), snapshot.configuration.batches.pollInterval * 6))
    }

    private func hold(
        _ wish: BatchWish, _ file: VendorObject, _ place: BatchPlace, _ principal: KeyPrincipal, _ snapshot: GatewaySnapshot,
        _ context: GatewayContext
    ) throws -> LongHold {
        let channel = place.channel.value
        guard let summary = (try? JSONValue(parsing: ByteBuffer(string: file.detail)))?["summary"].flatMap({ BatchSummary($0) }) else {
            throw APIError.internalError()
        }
        guard let offer = snapshot.offer(channel, model: file.model, upstream: file.upstreamModel, group: principal.group) else {
            throw APIError.priceMissing(file.model, file.endpoint)
        }
        guard let price = offer.quote.price.ofBatch else { throw APIError.batchPriceMissing(file.model) }
        let isStrict = snapshot.configuration.metering.admission == .strict
        guard !isStrict || summary.isStrict else {
            throw APIError.batchNotPossible("the file was uploaded before admission became strict; upload it again", param: "input_file_id")
        }
        var quote = offer.quote
        quote.price = price
        let amount: NanoUSD
        do {
            amount = try quote.worstCase(of: summary)
        } catch {
            throw APIError.badRequest("the worst case of this batch costs more than can be expressed", param: "input_file_id")
        }
        let now = desk.clock.unixSeconds
        return LongHold(
            requestID: context.requestID, kind: .batch, userID: principal.userID, tokenID: principal.tokenID, channelID: channel.id,
            keyMark: place.keyMark, provider: channel.provider.name, model: file.model, upstreamModel: file.upstreamModel,
            endpoint: file.endpoint, amount: amount, ceiling: isStrict ? amount : nil, ratio: quote.ratio, pricingVersion: quote.version,
            detail: JSONValue.object([.init("input_file_id", .string(file.id)), .init("summary", summary.json)]).text,
            clientIP: context.clientIP, nextAt: now, deadline: now + Self.window + Self.grace, createdAt: now,
            accountID: principal.accountID)
    }

    private func take(_ hold: LongHold, _ principal: KeyPrincipal, _ snapshot: GatewaySnapshot) async throws {
        let metering = snapshot.configuration.metering
        do {
            try await meter.holdLong(
                hold, floor: metering.overdraftFloor, limits: principal.budgets, wait: metering.balanceWait,
                firstLook: Self.creationLimit(snapshot) + .seconds(5))
        } catch AccountBook.Refusal.insufficient(let needed, let available) {
            throw APIError.insufficientBalance(needed: needed, available: available)
        } catch AccountBook.Refusal.overBudget(let limit, let needed, let available) {
            throw APIError.overBudget(limit, needed: needed, available: available, at: hold.createdAt)
        } catch is AccountBook.Refusal {
            throw APIError.unavailable("The gateway's books cannot be read at the moment; try again.")
        } catch MeterError.unknownUser {
            throw APIError.invalidKey("The user of this API key no longer exists.")
        } catch {
            guard case .fenced = BooksFailure(error) else { throw error }
            throw APIError.unavailable("This gateway has lost its place at the ledger and takes no calls; GET /health/ready says why.")
        }
    }

    /// Asks the vendor, which the hold has been opened for.
    private func start(_ hold: LongHold, _ wish: BatchWish, _ place: BatchPlace, limit: Duration) async throws -> Response {
        let vendor = desk.vendor(place)
        let made: JSONValue
        do throws(UpstreamFailure) {
            guard let url = place.provider.batchURLs[hold.endpoint] else {
                throw UpstreamFailure(
                    source: .gateway, kind: .modelUnavailable, detail: "the vendor has no batches of this endpoint any more")
            }
            made = try await vendor.object(.create(body: wish.body(endpoint: url, requestID: hold.requestID)), within: limit)
        } catch {
            guard error.isDefinite else {
                // The vendor may have made it. The settler finds that out, and ends the hold one way or the other.
                logger.warning(
                    "the vendor did not answer the creation of a batch",
                    metadata: ["request_id": "\(hold.requestID)", "why": "\(error.kind.rawValue) \(error.detail)"])
                throw APIError.upstream(
                    status: .badGateway,
                    message: "the upstream did not answer; if it has made the batch, GET /v1/batches lists it in a few minutes",
                    retryAfter: nil)
            }
            var record = hold.record(outcome: .failed, errorCode: error.kind.rawValue, now: desk.clock.unixSeconds)
            record.status = error.status ?? 502
            _ = try await meter.endLong(record)
            throw APIError(error)
        }
        guard let id = made["id"]?.stringValue, FilesHandlers.isPlain(id) else {
            throw APIError.upstream(status: .badGateway, message: "the upstream gave the batch no usable id", retryAfter: nil)
        }
        let isMetered = desk.snapshots.snapshot.configuration.metering.admission != .off
        let next = desk.clock.unixSeconds + desk.snapshots.snapshot.configuration.batches.pollInterval.components.seconds
        guard try await desk.store.bindLongHold(hold.requestID, objectID: id, nextAt: next) || !isMetered else {
            // The hold has been ended as one without a batch, so nobody would pay for it.
            logger.error("a batch was made after its hold had ended; it is cancelled", metadata: ["batch": "\(id)"])
            _ = try? await vendor.object(.cancel(id: id))
            throw APIError.unavailable("The batch was made too late and has been cancelled; try again.")
        }
        var bound = hold
        bound.objectID = id
        let row = BatchObjects.row(bound, id: id, made)
        try await desk.store.addVendorObject(row)
        return ModelsHandlers.answer(BatchDesk.json(row))
    }

    // MARK: What is there

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await desk.page(.batch, request, BatchDescriptions.listBatches, context, standard: 20)
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (row, place) = try await desk.object(.batch, context.parameters.get("id") ?? "", context)
        return try await answer(try await desk.ask(.batch(id: row.id), row, place), row)
    }

    func cancel(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (row, place) = try await desk.object(.batch, context.parameters.get("id") ?? "", context)
        return try await answer(try await desk.ask(.cancel(id: row.id), row, place), row)
    }

    private func answer(_ batch: JSONValue, _ row: VendorObject) async throws -> Response {
        try await desk.store.note(batch, of: row, at: desk.clock.unixSeconds)
        if BatchObjects.isOver(batch), let request = row.requestID {
            // Settled with the next look, not after a tenth of its age.
            try await desk.store.hastenLongHold(request, nextAt: desk.clock.unixSeconds)
        }
        return ModelsHandlers.answer(BatchObjects.batch(batch, endpoint: row.endpoint, model: row.model))
    }
}

/// The body of `POST /v1/batches`.
private struct BatchWish {
    let file: String
    let endpoint: Endpoint
    private let metadata: [JSONValue.Member]

    private static let fields = ["input_file_id", "endpoint", "completion_window", "metadata"]

    init(_ body: ByteBuffer) throws {
        guard let json = try? JSONValue(parsing: body), case .object(let members) = json else {
            throw APIError.badRequest("the request body is not a valid JSON object", param: nil)
        }
        if let other = members.first(where: { !Self.fields.contains($0.name) }) {
            let name = String(other.name.prefix(64))
            throw APIError.badRequest("'\(name)' is not supported; allowed: \(Self.fields.joined(separator: ", "))", param: name)
        }
        guard let file = json["input_file_id"]?.stringValue, FilesHandlers.isPlain(file) else {
            throw APIError.badRequest("'input_file_id' must be the id of a file of POST /v1/files", param: "input_file_id")
        }
        guard let endpoint = json["endpoint"]?.stringValue.flatMap({ BatchSupport.endpoint(url: $0) }) else {
            throw APIError.badRequest("'endpoint' must be one of \(BatchSupport.allowedURLs)", param: "endpoint")
        }
        guard json["completion_window"]?.stringValue == "24h" else {
            throw APIError.badRequest("'completion_window' must be 24h", param: "completion_window")
        }
        self.file = file
        self.endpoint = endpoint
        metadata = try Self.metadata(json["metadata"] ?? .null)
    }

    /// Pairs of texts, one less than the vendor takes: the gateway adds one.
    private static func metadata(_ value: JSONValue) throws -> [JSONValue.Member] {
        if value.isNull { return [] }
        let most = BatchObjects.largestMetadata - 1
        guard case .object(let members) = value, members.count <= most,
            members.allSatisfy({
                $0.name.utf8.count <= 64 && $0.name != BatchObjects.mark && $0.value.stringValue?.utf8.count ?? .max <= 2_048
            })
        else {
            throw APIError.badRequest(
                "'metadata' must be an object of at most \(most) texts of at most 512 characters, with names of at most 64",
                param: "metadata")
        }
        return members
    }

    func body(endpoint: String, requestID: RouterCore.RequestID) -> ByteBuffer {
        var body = ByteBuffer()
        let mark = JSONValue.Member(BatchObjects.mark, .string(requestID.description))
        JSONValue.object([
            .init("input_file_id", .string(file)), .init("endpoint", .string(endpoint)), .init("completion_window", "24h"),
            .init("metadata", .object(metadata + [mark])),
        ]).write(to: &body)
        return body
    }
}
