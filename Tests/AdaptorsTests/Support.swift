import HTTPTypes
import NIOCore
import RouterCore
import Testing

@testable import Adaptors

enum Make {
    static func spec(
        _ family: AdaptorID = .openai, auth: AuthStyle = .bearer, headers: [StaticHeader] = [],
        request: RequestRules = RequestRules(), usage: UsageRules = UsageRules(), errors: [ErrorRule] = []
    ) -> ProviderSpec {
        ProviderSpec(
            name: "vendor", family: family, baseURL: "https://vendor.test/v1", auth: auth, headers: headers,
            request: request, usage: usage, errors: errors)
    }

    /// 1, 2, 0.1, 1.25 USD and so on per million tokens.
    static func price() throws -> ModelPrice {
        func perMillion(_ text: String) throws -> FemtoUSD { try FemtoUSD.parse(usdPerMillion: text).price }
        return ModelPrice(
            rates: ModelPrice.Rates(
                input: try perMillion("1"), output: try perMillion("2"), cacheRead: try perMillion("0.1"),
                cacheWrite5m: try perMillion("1.25"), audioInput: try perMillion("5"), audioOutput: try perMillion("10")),
            search: try FemtoUSD.parse(usdPerUnit: "0.01").price)
    }

    static func call(
        _ body: String, _ endpoint: Endpoint = .chat, spec: ProviderSpec = spec(), model: String? = nil,
        upstream: String? = nil, price: ModelPrice? = nil, ratio: PriceRatio = .one, key: Secret? = Secret("key-123"),
        channelHeaders: [StaticHeader] = [], endUser: String? = nil
    ) throws -> UpstreamCall {
        let envelope = try RequestEnvelope(body: ByteBuffer(string: body), endpoint: endpoint)
        let name = model ?? envelope.model
        let channel = Channel(
            id: 1, name: "c", provider: spec, keys: [], models: [Channel.Model(pattern: "*")], headers: channelHeaders)
        return UpstreamCall(
            envelope: envelope, channel: SharedChannel(channel), key: key, model: name, upstreamModel: upstream ?? name,
            quote: PriceQuote(price: try price ?? Make.price(), ratio: ratio, version: 1), endUser: endUser)
    }

    static func provider(_ spec: ProviderSpec) throws -> any Provider {
        try #require(AdaptorRegistry.provider(for: spec))
    }
}

/// What a stream came to, for comparisons.
struct StreamResult: Equatable {
    var out: [UInt8] = []
    var trailer: [UInt8] = []
    var progress = AnswerProgress()
    var failure: FailureKind?

    var text: String { String(decoding: out, as: UTF8.self) }
    var trailerText: String { String(decoding: trailer, as: UTF8.self) }

    /// Feeds a decoder with the bytes, cut at these offsets, and closes the stream in order.
    init(_ bytes: [UInt8], cuts: [Int] = [], call: UpstreamCall) throws {
        let provider = try Make.provider(call.channel.provider)
        var decoder = provider.streamDecoder(for: call)
        do throws(UpstreamFailure) {
            var start = 0
            for end in cuts + [bytes.count] {
                var piece = ByteBuffer()
                defer { out += piece.readableBytesView }
                let input = ByteBuffer(bytes: bytes[start..<end])
                start = end
                if input.readableBytes > 0 { try decoder.push(input, into: &piece) }
            }
            var piece = ByteBuffer()
            defer { out += piece.readableBytesView }
            try decoder.finish(into: &piece)
        } catch {
            failure = error.kind
        }
        trailer = Array(decoder.trailer.readableBytesView)
        progress = decoder.progress
    }

    init(_ text: String, call: UpstreamCall) throws { try self.init(Array(text.utf8), call: call) }
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

/// SplitMix64: small, seedable, the same everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
