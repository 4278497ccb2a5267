import Adaptors
import Config
import GatewayState
import HTTPTypes
import NIOCore
import Platform
import RouterCore

/// One upstream call up to its first content.
struct SingleAttempt: Sendable {
    let services: AttemptServices
    let admission: Admission
    let candidate: PricedCandidate
    let settlement: Settlement
    /// Time until the deadline of the request.
    let remaining: Duration
    let startedAt: MonotonicInstant

    /// Maximum size in bytes of a whole answer, which is held in memory.
    private static let maximumWholeBytes = 64 * 1024 * 1024
    /// Maximum number of bytes that are read of an error body.
    private static let maximumErrorBytes = 64 * 1024
    private static let maximumErrorTime = Duration.seconds(2)

    init(
        services: AttemptServices, admission: Admission, candidate: PricedCandidate, settlement: Settlement, remaining: Duration
    ) {
        self.services = services
        self.admission = admission
        self.candidate = candidate
        self.settlement = settlement
        self.remaining = remaining
        startedAt = services.clock.monotonic
    }

    func run() async -> Attempt.Result {
        guard let provider = admission.accepted.snapshot.provider(of: candidate.route.channel) else {
            return .failed(UpstreamFailure(source: .gateway, kind: .server, detail: "no adaptor for the channel"))
        }
        var call = UpstreamCall(
            envelope: admission.envelope, channel: candidate.route.shared, key: candidate.route.key,
            model: candidate.route.model, upstreamModel: candidate.route.upstreamModel, quote: admission.quote(candidate),
            hostPreferences: admission.planned.preferences?.forwarded ?? .asGiven, startedAt: admission.accepted.createdAt)
        call.answerID = admission.accepted.requestID.description
        call.betas = admission.extras.betas
        call.kept = admission.planned.state?.kept(candidate.route.channel)
        let accepted = admission.accepted
        let conversion =
            accepted.principal.conversion ?? candidate.route.channel.conversion
            ?? accepted.snapshot.configuration.routes.settings.conversion
        call.isLenient = conversion == .lenient
        do throws(UpstreamFailure) {
            return try await attempt(provider, call)
        } catch {
            // Nothing has reached the client: what would break a stream later is still a reason to fail over.
            var failure = error
            if failure.kind == .truncated || failure.kind == .midStream {
                failure.kind = .malformed
                failure.retry = .otherChannel
            }
            // If the request's own deadline has passed, the channel is not at fault.
            if failure.kind == .timeout, services.clock.monotonic >= startedAt.advanced(by: remaining - .milliseconds(5)) {
                failure.source = .gateway
            }
            return .failed(failure)
        }
    }

    private func attempt(_ provider: any Provider, _ call: UpstreamCall) async throws(UpstreamFailure) -> Attempt.Result {
        let request = try provider.request(for: call)
        if !request.droppedFields.isEmpty { settlement.update { $0.droppedFields = request.droppedFields } }
        let cancellation = UpstreamCancellation()
        settlement.leaving.cancels(with: cancellation)
        let response = try await send(request, cancellation)
        if let id = provider.generationID(response.head) { settlement.generation(id) }
        guard (200..<300).contains(response.head.status) else {
            throw await refusal(response, provider)
        }
        switch admission.envelope.delivery {
        case .events:
            guard isEventStream(response.head) else {
                // Some models do not stream transcriptions and ignore the request for it (OpenAI's reference says so for its oldest one).
                if admission.envelope.endpoint.mayAnswerInText { return try await whole(response, provider, call) }
                throw await notAStream(response, provider, call)
            }
            guard admission.envelope.streamsArray else {
                return .stream(try await firstContent(response, provider.streamDecoder(for: call, head: response.head)))
            }
            var array = try await firstContent(response, JSONArrayDecoder(provider.streamDecoder(for: call, head: response.head)))
            array.contentType = "application/json; charset=utf-8"
            return .stream(array)
        case .bytes:
            let type = AnswerType(response.head)
            guard !type.isJSON else { throw await notAStream(response, provider, call) }
            var answer = try await firstContent(response, provider.streamDecoder(for: call, head: response.head))
            answer.contentType = type.ofSound
            return .stream(answer)
        case .whole: return try await whole(response, provider, call)
        }
    }

    private func whole(
        _ response: UpstreamResponse, _ provider: any Provider, _ call: UpstreamCall
    ) async throws(UpstreamFailure) -> Attempt.Result {
        let body = try await collect(response.body, limit: Self.maximumWholeBytes)
        var answer = try provider.decode(body, for: call)
        if call.envelope.endpoint.mayAnswerInText { answer.contentType = AnswerType(response.head).ofText }
        settlement.commit(answer.progress)
        settlement.endAttempt(.completed)
        return .whole(answer)
    }

    private func send(
        _ request: UpstreamRequest, _ cancellation: UpstreamCancellation
    ) async throws(UpstreamFailure) -> UpstreamResponse {
        var timeouts = candidate.route.timeouts
        timeouts.total = min(timeouts.total, remaining)
        timeouts.firstByte = min(timeouts.firstByte, remaining)
        let options = TransportOptions(
            timeouts: timeouts, proxy: candidate.route.channel.proxy,
            needsNewConnection: candidate.route.needsNewConnection)
        let start = services.clock.monotonic
        defer { waited(since: start) }
        do throws(TransportFailure) {
            return try await services.transport.send(request, options: options, cancellation: cancellation)
        } catch {
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence.isGone)
        }
    }

    private func waited(since start: MonotonicInstant) {
        let now = services.clock.monotonic
        settlement.update { $0.upstreamWait += start.duration(to: now) }
    }

    private func isEventStream(_ head: UpstreamHead) -> Bool {
        guard let type = head.headers[.contentType] else { return true }
        let lower = type.lowercased()
        // Bedrock streams in AWS's own frame format.
        return lower.hasPrefix("text/event-stream") || lower.hasPrefix("application/vnd.amazon.eventstream")
    }

    /// Handles a non-2xx answer; reads as much of its body as is needed to classify the failure.
    private func refusal(_ response: UpstreamResponse, _ provider: any Provider) async -> UpstreamFailure {
        var body = ByteBuffer()
        // A vendor that sends a status and then hangs must not delay the next channel.
        let timer = FirstContentTimer(body: response.body, eventLoop: admission.accepted.eventLoop, after: Self.maximumErrorTime)
        defer { timer.stop() }
        do throws(TransportFailure) {
            while body.readableBytes < Self.maximumErrorBytes, let chunk = try await response.body.next() {
                body.writeImmutableBuffer(chunk)
            }
        } catch {
            // The status alone has to suffice.
        }
        response.body.cancel()
        if let cut = body.getSlice(at: body.readerIndex, length: min(body.readableBytes, Self.maximumErrorBytes)) {
            body = cut
        }
        return provider.classify(response.head, body: body, now: services.clock.unixSeconds)
    }

    /// Handles a non-stream answer to a request for a stream: an error inside a 200 (OpenRouter sends these), or a vendor that ignores
    /// `stream`.
    private func notAStream(
        _ response: UpstreamResponse, _ provider: any Provider, _ call: UpstreamCall
    ) async -> UpstreamFailure {
        do throws(UpstreamFailure) {
            let body = try await collect(response.body, limit: Self.maximumErrorBytes)
            _ = try provider.decode(body, for: call)
        } catch {
            return error
        }
        return UpstreamFailure(kind: .malformed, detail: "a stream was asked for, a whole answer came")
    }

    private func collect(_ body: any UpstreamBody, limit: Int) async throws(UpstreamFailure) -> ByteBuffer {
        let start = services.clock.monotonic
        defer { waited(since: start) }
        var whole = ByteBuffer()
        do throws(TransportFailure) {
            while let chunk = try await body.next() {
                if whole.readableBytes == 0 { whole = chunk } else { whole.writeImmutableBuffer(chunk) }
                if whole.readableBytes > limit {
                    body.cancel()
                    throw TransportFailure(.protocolViolation, "answer larger than \(limit) bytes")
                }
            }
        } catch {
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence.isGone)
        }
        return whole
    }

    /// Reads until there is content for the client. The timer covers comments and empty deltas, which keep the transport's own idle timer
    /// from firing.
    private func firstContent(
        _ response: UpstreamResponse, _ decoder: consuming any StreamDecoder
    ) async throws(UpstreamFailure) -> StreamAnswer {
        var held = ByteBuffer()
        let limit = min(candidate.route.timeouts.firstContent, remaining) - startedAt.duration(to: services.clock.monotonic)
        let timer = FirstContentTimer(body: response.body, eventLoop: admission.accepted.eventLoop, after: limit)
        defer { timer.stop() }
        let start = services.clock.monotonic
        defer { waited(since: start) }
        var hasEnded = false
        do throws(UpstreamFailure) {
            while !decoder.progress.hasContent && !decoder.progress.isDone {
                guard let bytes = try await next(response.body, timer) else {
                    try decoder.finish(into: &held)
                    hasEnded = true
                    break
                }
                try decoder.push(bytes, into: &held)
            }
        } catch {
            // An error in bytes after the first content, read together with it, is not handled here: the relay treats it as the pending
            // failure of a stream that has begun.
            guard decoder.progress.hasContent else {
                response.body.cancel()
                // The cost that the vendor reports for this attempt is kept with the request.
                let progress = decoder.progress
                if progress.usage != nil { settlement.update { $0.progress.usage = progress.usage } }
                throw error
            }
            settlement.commit(decoder.progress)
            return StreamAnswer(
                body: response.body, decoder: DecoderHandOver(decoder), held: held, hasEnded: true, failure: error)
        }
        // The timer may have just fired, in which case the body has been ended.
        if timer.hasFired, !hasEnded { throw UpstreamFailure(kind: .timeout, detail: "no content in time") }
        let progress = decoder.progress
        guard progress.hasContent || progress.hasFinishReason || progress.usage != nil else {
            response.body.cancel()
            throw UpstreamFailure(kind: .malformed, detail: "the stream ended without content")
        }
        settlement.commit(progress)
        return StreamAnswer(
            body: response.body, decoder: DecoderHandOver(decoder), held: held, hasEnded: hasEnded, failure: nil)
    }

    private func next(_ body: any UpstreamBody, _ timer: FirstContentTimer) async throws(UpstreamFailure) -> ByteBuffer? {
        do throws(TransportFailure) {
            return try await body.next()
        } catch {
            if timer.hasFired { throw UpstreamFailure(kind: .timeout, detail: "no content in time") }
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence.isGone)
        }
    }
}
