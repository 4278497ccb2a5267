import Adaptors
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
    /// Until the deadline of the request.
    let remaining: Duration
    let startedAt: MonotonicInstant

    /// The largest whole answer that is held in memory.
    private static let maximumWholeBytes = 64 * 1024 * 1024
    /// How much of an error body is read.
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
        do throws(UpstreamFailure) {
            return try await attempt(provider, call)
        } catch {
            // Nothing has reached the client: what would be a broken stream later is a reason to go on now.
            var failure = error
            if failure.kind == .truncated || failure.kind == .midStream {
                failure.kind = .malformed
                failure.retry = .otherChannel
            }
            // The request's own deadline is not the channel's fault.
            if failure.kind == .timeout, services.clock.monotonic >= startedAt.advanced(by: remaining - .milliseconds(5)) {
                failure.source = .gateway
            }
            return .failed(failure)
        }
    }

    private func attempt(_ provider: any Provider, _ call: UpstreamCall) async throws(UpstreamFailure) -> Attempt.Result {
        let request = try provider.request(for: call)
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
                // Some models do not stream transcriptions and ignore that it was asked for (OpenAI's reference says so of its oldest one).
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
        // Bedrock streams frames of AWS's own.
        return lower.hasPrefix("text/event-stream") || lower.hasPrefix("application/vnd.amazon.eventstream")
    }

    /// A non-2xx answer, with as much of its body as is needed to name the failure.
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
            // The status alone has to do.
        }
        response.body.cancel()
        if let cut = body.getSlice(at: body.readerIndex, length: min(body.readableBytes, Self.maximumErrorBytes)) {
            body = cut
        }
        return provider.classify(response.head, body: body, now: services.clock.unixSeconds)
    }

    /// A stream was asked for and something else came: an error inside a 200 (OpenRouter does that), or a vendor that ignores `stream`.
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

    /// Reads until something comes that the client can use. The timer covers comments and empty deltas, which keep the
    /// transport's own idle timer quiet.
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
            // An error in the bytes behind the first content, read in one go with it, is not this step's business: the
            // relay meets it again as the pending failure of a stream that has begun.
            guard decoder.progress.hasContent else {
                response.body.cancel()
                // What the vendor says that it bills for this is kept with the request.
                let progress = decoder.progress
                if progress.usage != nil { settlement.update { $0.progress.usage = progress.usage } }
                throw error
            }
            settlement.commit(decoder.progress)
            return StreamAnswer(
                body: response.body, decoder: DecoderHandOver(decoder), held: held, hasEnded: true, failure: error)
        }
        // The timer may have fired just now: the body is gone then.
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
