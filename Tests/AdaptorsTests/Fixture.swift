import Adaptors
import NIOCore
import RouterCore

/// What the suites share: vendors, calls and one way to run a stream.
enum Fixture {
    /// 2 USD per million prompt tokens and 8 USD per million completion tokens: 2,000 and 8,000 nano-dollars per token.
    static let price = ModelPrice(
        rates: .init(input: FemtoUSD(femtos: 2_000_000_000), output: FemtoUSD(femtos: 8_000_000_000)))
    /// Each part has a price of its own: 1 and 2 USD per million prompt and completion tokens, 0.1 read from the cache, 1.25 written,
    /// 5 and 10 for sound; 0.01 USD per search.
    static let partedPrice = ModelPrice(
        rates: .init(
            input: FemtoUSD(femtos: 1_000_000_000), output: FemtoUSD(femtos: 2_000_000_000), cacheRead: FemtoUSD(femtos: 100_000_000),
            cacheWrite5m: FemtoUSD(femtos: 1_250_000_000), audioInput: FemtoUSD(femtos: 5_000_000_000),
            audioOutput: FemtoUSD(femtos: 10_000_000_000)),
        search: FemtoUSD(femtos: 10_000_000_000_000))
    static let secretKey = "sk-test-0123456789abcdef"

    static func spec(
        _ family: AdaptorID = .openai, auth: AuthStyle = .bearer, headers: [StaticHeader] = [],
        endpoints: [Endpoint: String?]? = nil, request: RequestRules = RequestRules(),
        usage: UsageRules = UsageRules(), errors: [ErrorRule] = []
    ) -> ProviderSpec {
        var spec = ProviderSpec(
            name: "vendor", family: family, baseURL: "https://api.vendor.test/v1", auth: auth, headers: headers,
            request: request, usage: usage, errors: errors)
        if let endpoints { spec.endpoints = endpoints }
        return spec
    }

    static func provider(_ spec: ProviderSpec) -> any Provider {
        guard let provider = AdaptorRegistry.provider(for: spec) else { preconditionFailure("unknown family") }
        return provider
    }

    static func call(
        _ body: String, spec: ProviderSpec = spec(), endpoint: Endpoint = .chat, model: String? = nil, upstream: String? = nil,
        price: ModelPrice = price, ratio: PriceRatio = .one, baseURL: String? = nil,
        channelHeaders: [StaticHeader] = [], key: Secret? = Secret(secretKey)
    ) throws -> UpstreamCall {
        // For Gemini the path says what is to be answered, and how.
        let envelope =
            endpoint == .gemini
            ? try RequestEnvelope(gemini: ByteBuffer(string: body), model: "pub", isStream: true)
            : try RequestEnvelope(body: ByteBuffer(string: body), endpoint: endpoint)
        let channel = Channel(
            id: 1, name: "channel", provider: spec, keys: [], models: [], baseURL: baseURL, headers: channelHeaders)
        return UpstreamCall(
            envelope: envelope, channel: SharedChannel(channel), key: key, model: model ?? envelope.model,
            upstreamModel: upstream ?? envelope.model, quote: PriceQuote(price: price, ratio: ratio, version: 1))
    }
}

/// All that can be seen of a stream after its end.
struct StreamOutcome: Hashable, CustomStringConvertible {
    var out: String
    var trailer: String
    var progress: AnswerProgress
    var failure: FailureKind?
    var isBillable: Bool?

    var description: String {
        "failure \(String(describing: failure)), out ⟪\(out)⟫, trailer ⟪\(trailer)⟫, \(progress)"
    }

    init(_ text: String, call: UpstreamCall) { self.init([Array(text.utf8)], call: call) }

    /// Feeds the bytes, cut at these offsets.
    init(_ bytes: [UInt8], cuts: [Int], call: UpstreamCall) {
        let ends = cuts + [bytes.count]
        self.init(zip([0] + cuts, ends).map { Array(bytes[$0..<$1]) }.filter { !$0.isEmpty }, call: call)
    }

    /// Feeds the pieces and closes the upstream in order.
    init(_ pieces: [[UInt8]], call: UpstreamCall) {
        var decoder = Fixture.provider(call.channel.provider).streamDecoder(for: call)
        var written = ByteBuffer()
        do throws(UpstreamFailure) {
            for piece in pieces { try decoder.push(ByteBuffer(bytes: piece), into: &written) }
            try decoder.finish(into: &written)
        } catch {
            failure = error.kind
            isBillable = error.isBillable
        }
        out = String(buffer: written)
        trailer = String(buffer: decoder.trailer)
        progress = decoder.progress
    }

    /// Strings compare by canonical equivalence; what counts here are bytes.
    static func == (left: StreamOutcome, right: StreamOutcome) -> Bool {
        left.out.utf8.elementsEqual(right.out.utf8) && left.trailer.utf8.elementsEqual(right.trailer.utf8)
            && left.progress == right.progress && left.failure == right.failure && left.isBillable == right.isBillable
    }
}

/// The failure that a call throws.
func failure(_ body: () throws(UpstreamFailure) -> Void) -> UpstreamFailure? {
    do throws(UpstreamFailure) {
        try body()
        return nil
    } catch {
        return error
    }
}

extension String {
    func replacingOnce(_ old: String, _ new: String) -> String {
        guard let range = firstRange(of: old) else { return self }
        return String(self[..<range.lowerBound]) + new + String(self[range.upperBound...])
    }
}
