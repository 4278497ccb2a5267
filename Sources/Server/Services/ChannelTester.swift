import Config
import HTTPTypes
import NIOCore
import Platform
import RouterCore

/// One cheap real call to a channel: the way of a request without a client, a hold or a failover. What it costs is shown, and charged to
/// nobody's balance: it is the operator's own question.
struct ChannelTester {
    let services: GatewayServices
    let snapshot: GatewaySnapshot
    let channel: RouterCore.Channel

    private static let limit = Duration.seconds(60)

    /// - Parameter model: public name; nil = the cheapest that the channel serves.
    /// - Throws: ``ManagementError`` when the channel cannot be tested at all; a failing call is a result.
    func run(model: String?, eventLoop: any EventLoop) async throws -> JSONValue {
        guard let provider = snapshot.provider(of: channel) else {
            throw ManagementError(.conflict, "channel \(channel.id) cannot be tested: \(channel.disabledReason ?? "it has no adaptor")")
        }
        guard !channel.keys.isEmpty || channel.provider.auth == .none else {
            throw ManagementError(.conflict, "channel \(channel.id) cannot be tested: \(channel.disabledReason ?? "it has no key")")
        }
        guard let endpoint = [Endpoint.chat, .completions, .embeddings].first(where: provider.capabilities.contains) else {
            throw ManagementError(.conflict, "channel \(channel.id) serves no endpoint that can be tested")
        }
        guard let model = model ?? cheapest(endpoint) else {
            throw ManagementError.badRequest("name a 'model': the channel's file lists none")
        }
        guard let upstream = channel.upstreamModel(for: model) else {
            throw ManagementError.badRequest("channel \(channel.id) does not serve the model '\(model)'")
        }
        let quote =
            snapshot.quote(channel, model, upstream, group: "default")
            ?? PriceQuote(price: .free, ratio: .one, version: 0)
        let call = UpstreamCall(
            envelope: try envelope(endpoint, model), channel: SharedChannel(channel), key: channel.keys.first, model: model,
            upstreamModel: upstream, quote: quote)
        return await perform(call, provider, eventLoop)
    }

    /// By list price of a token in and a token out; exact names of the channel count as well.
    private func cheapest(_ endpoint: Endpoint) -> String? {
        var names = channel.models.map(\.pattern).filter { !$0.contains("*") }
        names += channel.provider.models.filter { $0.endpoints?.contains(endpoint) ?? true }.map(\.id)
            .filter { channel.upstreamModel(for: $0) != nil }
        func price(_ name: String) -> Int128 {
            guard let upstream = channel.upstreamModel(for: name),
                let quote = snapshot.quote(channel, name, upstream, group: "default"), quote.price.basis == .metered
            else { return .max }
            return Int128(quote.price.rates.input.femtos) + Int128(quote.price.rates.output.femtos)
        }
        return names.map { (name: $0, price: price($0)) }.min { ($0.price, $0.name) < ($1.price, $1.name) }?.name
    }

    private func envelope(_ endpoint: Endpoint, _ model: String) throws -> RequestEnvelope {
        var members: [JSONValue.Member] = [.init("model", .string(model))]
        switch endpoint {
        case .embeddings: members.append(.init("input", "hi"))
        case .completions: members += [.init("prompt", "hi"), .init("max_tokens", .integer(16)), .init("stream", true)]
        default:
            members += [
                .init("messages", [["role": "user", "content": "hi"]]), .init("max_tokens", .integer(16)), .init("stream", true),
            ]
        }
        var body = ByteBuffer()
        JSONValue.object(members).write(to: &body)
        do {
            return try RequestEnvelope(body: body, endpoint: endpoint)
        } catch {
            throw ManagementError.badRequest(error.message)
        }
    }

    private func perform(_ call: UpstreamCall, _ provider: any Provider, _ eventLoop: any EventLoop) async -> JSONValue {
        let start = services.clock.monotonic
        var firstContent: Duration?
        var status: Int?
        var progress = AnswerProgress()
        var failure: UpstreamFailure?
        do throws(UpstreamFailure) {
            let request = try provider.request(for: call)
            let response = try await send(request)
            status = response.head.status
            guard (200..<300).contains(response.head.status) else {
                let body = try await read(response.body)
                throw provider.classify(response.head, body: body, now: services.clock.unixSeconds)
            }
            if call.envelope.isStream {
                var decoder = provider.streamDecoder(for: call)
                var sink = ByteBuffer()
                while !decoder.progress.isDone, let bytes = try await next(response.body) {
                    sink.clear()
                    try decoder.push(bytes, into: &sink)
                    if firstContent == nil, decoder.progress.hasContent { firstContent = start.duration(to: services.clock.monotonic) }
                }
                try decoder.finish(into: &sink)
                progress = decoder.progress
                response.body.cancel()
            } else {
                progress = try provider.decode(try await read(response.body), for: call).progress
                firstContent = start.duration(to: services.clock.monotonic)
            }
        } catch {
            failure = error
        }
        if failure == nil {
            services.health.prove(
                HealthTarget(
                    channelID: channel.id, keyIndex: channel.keys.isEmpty ? -1 : 0, model: call.upstreamModel, account: channel.account))
        }
        return report(call, start, firstContent, status, progress, failure)
    }

    private func report(
        _ call: UpstreamCall, _ start: MonotonicInstant, _ firstContent: Duration?, _ status: Int?, _ progress: AnswerProgress,
        _ failure: UpstreamFailure?
    ) -> JSONValue {
        func milliseconds(_ duration: Duration) -> JSONValue { .integer(Int64(duration / .milliseconds(1))) }
        let usage = progress.usage
        let charge = usage.flatMap { try? call.quote.charge(for: $0) }
        return .object([
            .init("ok", .boolean(failure == nil)), .init("model", .string(call.model)),
            .init("upstream_model", .string(call.upstreamModel)),
            .init("status", status.map { .integer($0) } ?? .null),
            .init("first_content_ms", firstContent.map(milliseconds) ?? .null),
            .init("total_ms", milliseconds(start.duration(to: services.clock.monotonic))),
            .init("prompt_tokens", usage.map { .integer($0.promptTokens) } ?? .null),
            .init("completion_tokens", usage.map { .integer($0.completionTokens) } ?? .null),
            .init("charge", charge.map { .usd($0) } ?? .null),
            .init("upstream_cost", usage?.upstreamCost.map { .usd($0.roundedToNano) } ?? .null),
            .init("failure", .optional(failure?.kind.rawValue)), .init("detail", .optional(failure?.detail)),
        ])
    }

    // MARK: The wire

    private func send(_ request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse {
        let timeouts = AttemptTimeouts(firstByte: Self.limit, firstContent: Self.limit, idle: Self.limit, total: Self.limit)
        do throws(TransportFailure) {
            // A kept connection may be dead without the channel being so.
            let options = TransportOptions(timeouts: timeouts, proxy: channel.proxy, needsNewConnection: true)
            return try await services.transport.send(request, options: options, cancellation: UpstreamCancellation())
        } catch {
            throw UpstreamFailure(transport: error)
        }
    }

    private func next(_ body: any UpstreamBody) async throws(UpstreamFailure) -> ByteBuffer? {
        do throws(TransportFailure) { return try await body.next() } catch { throw UpstreamFailure(transport: error) }
    }

    private func read(_ body: any UpstreamBody) async throws(UpstreamFailure) -> ByteBuffer {
        var whole = ByteBuffer()
        while whole.readableBytes < 1_048_576, let bytes = try await next(body) { whole.writeImmutableBuffer(bytes) }
        body.cancel()
        return whole
    }
}
