import Config
package import GatewayState
import NIOCore
package import Platform
package import RouterCore

/// One cheap real call to a channel: the way of a request without a client, a hold or a failover. What it costs is shown, and charged to
/// nobody's balance: it is the operator's own question.
package struct ChannelTester {
    /// Why a channel cannot be tested at all.
    package enum Problem: Error, Sendable {
        /// As it is at the moment.
        case channel(String)
        /// With this model.
        case model(String)
    }

    private let snapshot: GatewaySnapshot
    private let channel: RouterCore.Channel
    private let health: HealthRegistry
    private let client: VendorClient
    private let clock: ServerClock

    package init(
        snapshot: GatewaySnapshot, channel: RouterCore.Channel, health: HealthRegistry, client: VendorClient, clock: ServerClock
    ) {
        self.snapshot = snapshot
        self.channel = channel
        self.health = health
        self.client = client
        self.clock = clock
    }

    private static let limit = Duration.seconds(60)

    /// - Parameter model: public name; nil = the cheapest that the channel serves.
    /// - Throws: ``Problem``; a failing call is a result.
    package func run(model: String?) async throws -> JSONValue {
        guard let provider = snapshot.provider(of: channel) else {
            throw Problem.channel("channel \(channel.id) cannot be tested: \(channel.disabledReason ?? "it has no adaptor")")
        }
        guard !channel.keys.isEmpty || channel.provider.auth == .none else {
            throw Problem.channel("channel \(channel.id) cannot be tested: \(channel.disabledReason ?? "it has no key")")
        }
        guard let endpoint = [Endpoint.chat, .completions, .embeddings].first(where: provider.capabilities.contains) else {
            throw Problem.channel("channel \(channel.id) serves no endpoint that can be tested")
        }
        guard let model = model ?? cheapest(endpoint) else {
            throw Problem.model("name a 'model': the channel's file lists none")
        }
        guard let upstream = channel.upstreamModel(for: model) else {
            throw Problem.model("channel \(channel.id) does not serve the model '\(model)'")
        }
        let quote =
            snapshot.quote(channel, model: model, upstream: upstream, group: "default")
            ?? PriceQuote(price: .free, ratio: .one, version: 0)
        let call = UpstreamCall(
            envelope: try envelope(endpoint, model), channel: SharedChannel(channel), key: channel.keys.first, model: model,
            upstreamModel: upstream, quote: quote)
        return await perform(call, provider)
    }

    /// By list price of a token in and a token out; exact names of the channel count as well.
    private func cheapest(_ endpoint: Endpoint) -> String? {
        var names = channel.models.map(\.pattern).filter { !$0.contains("*") }
        names += channel.provider.models.filter { $0.endpoints?.contains(endpoint) ?? true }.map(\.id)
            .filter { channel.upstreamModel(for: $0) != nil }
        func price(_ name: String) -> Int128 {
            guard let upstream = channel.upstreamModel(for: name),
                let quote = snapshot.quote(channel, model: name, upstream: upstream, group: "default"), quote.price.basis == .metered
            else { return .max }
            return Int128(quote.price.rates.input.femtos) + Int128(quote.price.rates.output.femtos)
        }
        return names.map { (name: $0, price: price($0)) }.min { ($0.price, $0.name) < ($1.price, $1.name) }?.name
    }

    private func envelope(_ endpoint: Endpoint, _ model: String) throws -> RequestEnvelope {
        let members = [JSONValue.Member("model", .string(model))] + (endpoint.smallestRequest ?? [])
        var body = ByteBuffer()
        JSONValue.object(members).write(to: &body)
        do {
            return try RequestEnvelope(body: body, endpoint: endpoint)
        } catch {
            throw Problem.model(error.message)
        }
    }

    private func perform(_ call: UpstreamCall, _ provider: any Provider) async -> JSONValue {
        let start = clock.monotonic
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
                throw provider.classify(response.head, body: body, now: clock.unixSeconds)
            }
            if call.envelope.isStream {
                var decoder = provider.streamDecoder(for: call)
                var sink = ByteBuffer()
                while !decoder.progress.isDone, let bytes = try await next(response.body) {
                    sink.clear()
                    try decoder.push(bytes, into: &sink)
                    if firstContent == nil, decoder.progress.hasContent { firstContent = start.duration(to: clock.monotonic) }
                }
                try decoder.finish(into: &sink)
                progress = decoder.progress
                response.body.cancel()
            } else {
                progress = try provider.decode(try await read(response.body), for: call).progress
                firstContent = start.duration(to: clock.monotonic)
            }
        } catch {
            failure = error
        }
        if failure == nil {
            health.prove(
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
        let charge = call.quote.shownCharge(for: usage)
        return .object([
            .init("ok", .boolean(failure == nil)), .init("model", .string(call.model)),
            .init("upstream_model", .string(call.upstreamModel)),
            .init("status", status.map { .integer($0) } ?? .null),
            .init("first_content_ms", firstContent.map(milliseconds) ?? .null),
            .init("total_ms", milliseconds(start.duration(to: clock.monotonic))),
            .init("prompt_tokens", usage.map { .integer($0.promptTokens) } ?? .null),
            .init("completion_tokens", usage.map { .integer($0.completionTokens) } ?? .null),
            .init("charge", charge.map { .usd($0) } ?? .null),
            .init("upstream_cost", usage?.upstreamCost.map { .usd($0.roundedToNano) } ?? .null),
            .init("failure", .optional(failure?.kind.rawValue)), .init("detail", .optional(failure?.detail)),
        ])
    }

    // MARK: The wire

    private func send(_ request: UpstreamRequest) async throws(UpstreamFailure) -> UpstreamResponse {
        do throws(TransportFailure) {
            return try await client.open(request, proxy: channel.proxy, within: Self.limit, isFresh: true)
        } catch {
            throw UpstreamFailure(transport: error)
        }
    }

    private func next(_ body: any UpstreamBody) async throws(UpstreamFailure) -> ByteBuffer? {
        do throws(TransportFailure) { return try await body.next() } catch { throw UpstreamFailure(transport: error) }
    }

    private func read(_ body: any UpstreamBody) async throws(UpstreamFailure) -> ByteBuffer {
        do throws(TransportFailure) {
            return try await VendorClient.read(body, atMost: 1 << 20)
        } catch {
            throw UpstreamFailure(transport: error)
        }
    }
}
