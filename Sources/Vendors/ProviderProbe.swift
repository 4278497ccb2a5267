public import Config
import GatewayState
import HTTPTypes
public import NIOCore
import Platform
public import RouterCore
import Transport

/// What a provider file does, shown and tried: for `apirouter provider explain` and `apirouter provider test`.
public struct ProviderProbe: Sendable {
    public struct Problem: Error, Sendable {
        public var message: String
    }

    private let spec: ProviderSpec
    private let channel: RouterCore.Channel
    private let provider: any Provider

    /// - Parameters:
    ///   - name: of the provider.
    ///   - environment: for the provider's own key, when no channel has one.
    /// - Throws: ``Problem``.
    public init(_ configuration: GatewayConfiguration, provider name: String, environment: [String: String]) throws(Problem) {
        guard let spec = configuration.providers.first(where: { $0.name == name }) else {
            let known = configuration.providers.map(\.name).sorted().joined(separator: ", ")
            throw Problem(message: "there is no provider '\(name)'; known: \(known)")
        }
        let configured = configuration.routes.channels.first { $0.provider.name == name && !$0.keys.isEmpty }
        let key = spec.keyEnv.flatMap { environment[$0] }.map { Secret($0) }
        let channel =
            configured
            ?? RouterCore.Channel(
                id: 0, name: "probe", provider: spec, keys: key.map { [$0] } ?? [], models: [RouterCore.Channel.Model(pattern: "*")])
        guard let provider = GatewaySnapshot(configuration).provider(of: channel) else {
            throw Problem(message: "'\(name)' has no adaptor")
        }
        self.spec = spec
        self.channel = channel
        self.provider = provider
    }

    private func call(_ envelope: RequestEnvelope, key: Secret?) -> UpstreamCall {
        let upstream = channel.upstreamModel(for: envelope.model) ?? envelope.model
        var call = UpstreamCall(
            envelope: envelope, channel: SharedChannel(channel), key: key, model: envelope.model, upstreamModel: upstream,
            quote: PriceQuote(price: .free, ratio: .one, version: 0), startedAt: ServerClock.system.unixSeconds)
        call.answerID = "probe"
        return call
    }

    // MARK: Explaining

    /// The upstream request that a client's body becomes, as text. Credentials, and headers with values from the environment, are
    /// `<redacted>`.
    /// - Throws: ``Problem`` with the reason why the vendor cannot be asked this.
    public func explain(_ body: ByteBuffer, endpoint: Endpoint, model: String? = nil, isStream: Bool = false) throws(Problem) -> String {
        let envelope: RequestEnvelope
        do {
            // Gemini's has both in its path.
            envelope =
                endpoint == .gemini
                ? try RequestEnvelope(gemini: body, model: model ?? spec.models.first?.id ?? "", isStream: isStream)
                : try RequestEnvelope(body: body, endpoint: endpoint)
        } catch {
            throw Problem(message: "the request is not one of \(endpoint.rawValue): \(error.message)")
        }
        let marker = "redacted-redacted-redacted"
        let request: UpstreamRequest
        do {
            request = try provider.request(for: call(envelope, key: Secret(marker)))
        } catch {
            throw Problem(message: "'\(spec.name)' cannot be asked this: \(error.clientError?.json.text ?? error.detail)")
        }
        let secret = Set((spec.headers + channel.headers).map { $0.name.lowercased() })
        var lines = ["\(request.method.rawValue) \(request.url.replacing(marker, with: "<redacted>"))"]
        for field in request.headers {
            let isSecret = secret.contains(field.name.canonicalName) || field.value.contains(marker) || field.name == .authorization
            lines.append("\(field.name): \(isSecret ? "<redacted>" : field.value)")
        }
        lines.append("")
        lines.append(request.body.map { String(buffer: $0) } ?? "")
        return lines.joined(separator: "\n")
    }

    // MARK: Trying

    public struct Check: Sendable {
        public var name: String
        /// nil = it worked.
        public var failure: String?
        public var detail: String
    }

    private static let limit = Duration.seconds(60)

    /// A few cheap real calls to the live vendor: a whole answer, a stream, a tool call, a model that does not exist.
    /// - Parameter model: a name of the vendor's; nil = the first that the file lists.
    /// - Throws: ``Problem`` when nothing can be tried.
    public func run(model: String?) async throws -> [Check] {
        guard let model = model ?? spec.models.first(where: { $0.endpoints?.contains(where: \.isConversation) ?? true })?.id else {
            throw Problem(message: "the file lists no model; name one with --model")
        }
        guard !channel.keys.isEmpty || spec.auth == .none else {
            throw Problem(message: "there is no key: set \(spec.keyEnv ?? "key_env in the file, or a channel's keys")")
        }
        let transport = try CurlTransport()
        let client = VendorClient(transport: transport)
        var checks = [
            await whole(model, client), await stream(model, client), await tool(model, client), await wrongModel(client),
        ]
        if let listing = await listing(client) { checks.append(listing) }
        await transport.shutdown()
        return checks
    }

    private func envelope(_ model: String, _ more: [JSONValue.Member]) -> RequestEnvelope? {
        let body = JSONValue.object(
            [
                .init("model", .string(model)), .init("messages", [["role": "user", "content": "Say: hello"]]),
                .init("max_tokens", .integer(64)),
            ] + more)
        return try? RequestEnvelope(body: ByteBuffer(string: body.text), endpoint: .chat)
    }

    private func ask(
        _ model: String, _ more: [JSONValue.Member], _ client: VendorClient
    ) async throws(UpstreamFailure) -> (AnswerProgress, text: String) {
        guard let envelope = envelope(model, more) else {
            throw UpstreamFailure(source: .gateway, kind: .invalidRequest, detail: "no request")
        }
        let call = call(envelope, key: channel.keys.first)
        let request = try provider.request(for: call)
        let result: Result<(AnswerProgress, text: String), UpstreamFailure>
        do throws(TransportFailure) {
            let (head, bytes) = try await client.call(request, proxy: channel.proxy, within: Self.limit, atMost: 4 << 20, isFresh: true)
            result = read(head, bytes, call)
        } catch {
            throw UpstreamFailure(transport: error)
        }
        return try result.get()
    }

    private func read(
        _ head: UpstreamHead, _ bytes: ByteBuffer, _ call: UpstreamCall
    ) -> Result<(AnswerProgress, text: String), UpstreamFailure> {
        do throws(UpstreamFailure) {
            guard (200..<300).contains(head.status) else {
                throw provider.classify(head, body: bytes, now: ServerClock.system.unixSeconds)
            }
            guard call.envelope.isStream else {
                let answer = try provider.decode(bytes, for: call)
                return .success((answer.progress, String(buffer: answer.body)))
            }
            var decoder = provider.streamDecoder(for: call)
            var out = ByteBuffer()
            try decoder.push(bytes, into: &out)
            if !decoder.progress.isDone { try decoder.finish(into: &out) }
            return .success((decoder.progress, String(buffer: out)))
        } catch {
            return .failure(error)
        }
    }

    private func told(_ progress: AnswerProgress) -> String {
        guard let usage = progress.usage else { return "no usage" }
        return "\(usage.promptTokens) in, \(usage.completionTokens) out"
    }

    private func whole(_ model: String, _ client: VendorClient) async -> Check {
        do throws(UpstreamFailure) {
            let (progress, _) = try await ask(model, [], client)
            let failure = !progress.hasContent ? "no content" : progress.usage == nil ? "no usage" : nil
            return Check(name: "whole answer", failure: failure, detail: told(progress))
        } catch {
            return Check(name: "whole answer", failure: error.kind.rawValue, detail: error.detail)
        }
    }

    private func stream(_ model: String, _ client: VendorClient) async -> Check {
        do throws(UpstreamFailure) {
            let (progress, _) = try await ask(model, [.init("stream", true)], client)
            let failure =
                !progress.hasContent
                ? "no content"
                : !progress.hasFinishReason
                    ? "no finish reason"
                    : progress.usage == nil ? "no usage" : nil
            return Check(name: "stream", failure: failure, detail: told(progress))
        } catch {
            return Check(name: "stream", failure: error.kind.rawValue, detail: error.detail)
        }
    }

    private func tool(_ model: String, _ client: VendorClient) async -> Check {
        let parameters: JSONValue = ["type": "object", "properties": ["city": ["type": "string"]], "required": ["city"]]
        let function: JSONValue = ["name": "get_weather", "description": "Weather of a city", "parameters": parameters]
        let tools: [JSONValue.Member] = [
            .init("tools", [["type": "function", "function": function]]),
            .init("tool_choice", ["type": "function", "function": ["name": "get_weather"]]),
        ]
        do throws(UpstreamFailure) {
            let (progress, text) = try await ask(model, tools, client)
            return Check(name: "tool call", failure: text.contains("get_weather") ? nil : "no call of the tool", detail: told(progress))
        } catch {
            return Check(name: "tool call", failure: error.kind.rawValue, detail: error.detail)
        }
    }

    private func wrongModel(_ client: VendorClient) async -> Check {
        do throws(UpstreamFailure) {
            _ = try await ask("no-such-model-\(spec.name)", [], client)
            return Check(name: "unknown model", failure: "it was answered", detail: "")
        } catch {
            let isRight = error.kind == .modelUnavailable || error.kind == .invalidRequest
            return Check(name: "unknown model", failure: isRight ? nil : "read as \(error.kind.rawValue)", detail: error.detail)
        }
    }

    /// nil where the family has no list of models.
    private func listing(_ client: VendorClient) async -> Check? {
        guard let request = provider.call(.listModels, baseURL: channel.baseURL, key: channel.keys.first) else { return nil }
        do throws(TransportFailure) {
            let status = try await client.call(request, proxy: channel.proxy, within: Self.limit, atMost: 1 << 20).head.status
            return Check(name: "list of models", failure: status == 200 ? nil : "status \(status)", detail: "")
        } catch {
            return Check(name: "list of models", failure: error.kind.rawValue, detail: error.detail)
        }
    }
}
