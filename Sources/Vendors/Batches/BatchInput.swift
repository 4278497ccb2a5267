import Config
package import GatewayState
package import NIOCore
package import RouterCore

/// An input file as it goes to the vendor: read line by line, with the vendor's name of the model and what the lines may consume.
package struct BatchInput: Sendable {
    /// Why a file is refused.
    package enum Problem: Error, Sendable {
        case rejection(RequestEnvelope.Rejection)
        case modelNotAllowed(String)
        case modelNotFound(String)
        /// Channels serve the model, but none that has batches for this endpoint. - Parameter url: the client's.
        case noBatches(model: String, url: String)
        case priceMissing(String, Endpoint)
        /// The model has a price, and none of the tier `batch`.
        case batchPriceMissing(String)
        /// All channels of the model are off or cooling down.
        case unavailable(String)
    }

    package private(set) var model: String
    package private(set) var upstreamModel: String
    package private(set) var endpoint: Endpoint
    package private(set) var place: BatchPlace
    package private(set) var summary = BatchSummary()
    /// The lines for the vendor.
    package private(set) var file = ByteBuffer()

    private let url: String
    private let quote: PriceQuote
    private let maxOutputTokens: Int64?
    private let contextLength: Int64?
    private let metering: GatewayConfiguration.Metering
    private var ids: Set<String> = []

    /// Lines between two pauses, in which other requests get their turn.
    private static let stretch = 256

    /// - Throws: ``Problem``.
    package init(
        _ bytes: ByteBuffer, for principal: KeyPrincipal, snapshot: GatewaySnapshot, health: HealthRegistry
    ) async throws(Problem) {
        var rest = bytes
        var number = 0
        var input: BatchInput?
        while let line = Self.nextLine(&rest) {
            number += 1
            if line.readableBytes == 0 { continue }
            guard number <= snapshot.configuration.batches.maxLines else {
                throw Self.wrong(nil, "the file has more than \(snapshot.configuration.batches.maxLines) lines")
            }
            let read = try Self.read(line, number)
            if input == nil { input = try BatchInput(first: read, principal, snapshot, health) }
            try input?.add(read, number)
            if number % Self.stretch == 0 { await Task.yield() }
        }
        guard let input else { throw Self.wrong(nil, "the file has no lines") }
        self = input
    }

    private init(
        first: BatchLine, _ principal: KeyPrincipal, _ snapshot: GatewaySnapshot, _ health: HealthRegistry
    ) throws(Problem) {
        model = first.envelope.model
        endpoint = first.envelope.endpoint
        url = first.url
        metering = snapshot.configuration.metering
        guard principal.allows(model: model) else { throw .modelNotAllowed(model) }
        let found = try Self.candidate(model, url, endpoint, principal, snapshot, health)
        guard let provider = snapshot.provider(of: found.channel),
            let offer = snapshot.offer(found.channel, model: model, upstream: found.upstreamModel, group: principal.group)
        else { throw .priceMissing(model, endpoint) }
        guard let price = offer.quote.price.ofBatch else { throw .batchPriceMissing(model) }
        var quote = offer.quote
        quote.price = price
        self.quote = quote
        upstreamModel = found.upstreamModel
        place = BatchPlace(channel: found.shared, provider: provider, key: found.key)
        maxOutputTokens = offer.maxOutputTokens
        contextLength = offer.contextLength
        summary.isStrict = metering.admission == .strict
    }

    /// The channel that a request for the model would go to first, among those that have batches.
    private static func candidate(
        _ model: String, _ url: String, _ endpoint: Endpoint, _ principal: KeyPrincipal, _ snapshot: GatewaySnapshot,
        _ health: HealthRegistry
    ) throws(Problem) -> RouteCandidate {
        let facts = RouteFacts(endpoints: { channel in Set((snapshot.provider(of: channel)?.batchURLs ?? [:]).keys) })
        let query = RouteQuery(model: model, group: principal.group, endpoint: endpoint)
        let plan = health.plan(query, snapshot.configuration.routes, facts)
        if let first = plan.candidates.first { return first }
        let reasons = plan.dropped.map(\.reason).filter { $0 != .notServed && $0 != .wrongGroup }
        if reasons.isEmpty { throw .modelNotFound(model) }
        if reasons.allSatisfy({ $0 == .endpointUnsupported }) { throw .noBatches(model: model, url: url) }
        throw .unavailable(model)
    }

    private static func wrong(_ number: Int?, _ what: String, param: String? = "file") -> Problem {
        .rejection(RequestEnvelope.Rejection(number.map { "line \($0) of the file: \(what)" } ?? what, param: param))
    }

    private static func read(_ line: ByteBuffer, _ number: Int) throws(Problem) -> BatchLine {
        do throws(RequestEnvelope.Rejection) {
            return try BatchLine(line)
        } catch {
            throw wrong(number, error.message)
        }
    }

    /// The next line without its end; nil at the end of the file.
    private static func nextLine(_ rest: inout ByteBuffer) -> ByteBuffer? {
        guard rest.readableBytes > 0 else { return nil }
        let end = rest.withUnsafeReadableBytes { bytes in bytes.firstIndex(of: 0x0A) } ?? rest.readableBytes
        var line = rest.readSlice(length: end)
        if rest.readableBytes > 0 { rest.moveReaderIndex(forwardBy: 1) }
        if let whole = line, whole.readableBytes > 0, whole.getInteger(at: whole.writerIndex - 1, as: UInt8.self) == 0x0D {
            line = whole.getSlice(at: whole.readerIndex, length: whole.readableBytes - 1)
        }
        return line
    }

    // MARK: Lines

    private mutating func add(_ line: BatchLine, _ number: Int) throws(Problem) {
        guard ids.insert(line.customID).inserted else { throw Self.wrong(number, "its 'custom_id' is that of an earlier line") }
        guard line.url == url else { throw Self.wrong(number, "its 'url' is not that of the first line; a batch has one") }
        guard line.envelope.model == model else { throw Self.wrong(number, "its 'model' is not that of the first line; a batch has one") }
        let envelope: RequestEnvelope
        do throws(RequestEnvelope.Rejection) {
            envelope = try bounded(line.envelope)
        } catch {
            throw Self.wrong(number, error.message)
        }
        let call = UpstreamCall(
            envelope: envelope, channel: place.channel, key: nil, model: model, upstreamModel: upstreamModel, quote: quote)
        let request: UpstreamRequest
        do throws(UpstreamFailure) {
            request = try place.provider.request(for: call)
        } catch {
            throw Self.wrong(number, error.clientError?.message ?? "the vendor cannot be asked for this")
        }
        guard let body = request.body, let theirs = place.provider.batchURLs[endpoint] else {
            throw Self.wrong(number, "the vendor cannot be asked for this")
        }
        write(line.customID, theirs, body)
    }

    /// Adds the line's bound to the summary. - Returns: the request with the limit that strict admission needs.
    private mutating func bounded(_ envelope: RequestEnvelope) throws(RequestEnvelope.Rejection) -> RequestEnvelope {
        let limits = [envelope.maxOutputTokens, maxOutputTokens].compactMap { $0 }
        var result = envelope
        var output: Int64
        var strict: StrictBound?
        if summary.isStrict {
            strict = try StrictBound(envelope, allowing: metering.strictFields)
            output = max(1, limits.min() ?? metering.defaultHoldOutputTokens)
            if envelope.endpoint.hasOutputBound {
                if envelope.maxOutputTokens != output { result = try envelope.limitingOutput(to: output) }
                output = Int64(clamping: Int128(output) + Int128(place.channel.value.provider.billing.thinkingBeyondLimit))
            }
        } else {
            output = (limits + [metering.defaultHoldOutputTokens]).min() ?? 0
        }
        do {
            try summary.add(
                envelope.bound(strict: strict, outputTokens: output, contextLength: contextLength, model: upstreamModel))
        } catch {
            throw RequestEnvelope.Rejection("the file may consume more than can be expressed")
        }
        return result
    }

    private mutating func write(_ id: String, _ url: String, _ body: ByteBuffer) {
        file.writeStaticString("{\"custom_id\":")
        JSONText.appendQuoted(id, to: &file)
        file.writeStaticString(",\"method\":\"POST\",\"url\":")
        JSONText.appendQuoted(url, to: &file)
        file.writeStaticString(",\"body\":")
        Self.appendOnOneLine(body, to: &file)
        file.writeStaticString("}\n")
    }

    /// White space between the values of a body may be a line end where a provider file's fields were added; inside strings there is none.
    private static func appendOnOneLine(_ body: ByteBuffer, to file: inout ByteBuffer) {
        let hasLineEnd = body.withUnsafeReadableBytes { $0.contains(0x0A) || $0.contains(0x0D) }
        guard hasLineEnd else {
            file.writeImmutableBuffer(body)
            return
        }
        file.writeBytes(body.readableBytesView.lazy.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
    }
}
