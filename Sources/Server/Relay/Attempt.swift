import Config
import HTTPTypes
import Logging
import NIOCore
import RouterCore

/// Step 5: one channel after the other until content comes. The client has seen nothing so far, so failing over is free.
struct Attempt: Sendable {
    let services: GatewayServices
    let admission: Admission

    enum Result: Sendable {
        case whole(WholeAnswer)
        case stream(StreamAnswer)
        case failed(UpstreamFailure)
    }

    func run(_ settle: Settle) async -> Result {
        let settings = admission.accepted.snapshot.configuration.routes.settings
        let deadline = admission.accepted.receivedAt.advanced(by: settings.timeouts.total)
        var tried: Set<Int64> = []
        var last: UpstreamFailure?
        for candidate in admission.candidates where !tried.contains(candidate.route.channel.id) {
            guard tried.count < settings.maxAttempts else { break }
            guard admission.accepted.presence?.isGone != true else { return .failed(.clientGone) }
            let remaining = services.clock.monotonic.duration(to: deadline)
            guard remaining > .zero else { break }
            guard services.health.began(candidate.route.target) else { continue }
            tried.insert(candidate.route.channel.id)
            let one = SingleAttempt(
                services: services, admission: admission, candidate: candidate, settle: settle, remaining: remaining)
            switch await one.run() {
            case .failed(let failure):
                report(failure, candidate)
                last = failure
                if failure.retry == .no { return .failed(failure) }
            case let answer:
                services.metrics.attempt(channelID: candidate.route.channel.id, result: "ok")
                return answer
            }
        }
        return .failed(last ?? .nothingTried)
    }

    private func report(_ failure: UpstreamFailure, _ candidate: PricedCandidate) {
        let target = candidate.route.target
        if failure.source == .upstream && failure.kind.blame != .nobody {
            services.health.failed(target, failure)
        } else {
            services.health.released(target)
        }
        services.metrics.attempt(channelID: target.channelID, result: failure.kind.rawValue)
        services.logger.info(
            "attempt failed",
            metadata: [
                "request_id": "\(admission.accepted.requestID)", "channel": "\(candidate.route.channel.name)",
                "kind": "\(failure.kind.rawValue)", "status": "\(failure.status ?? 0)", "detail": "\(failure.detail)",
            ])
    }
}

extension UpstreamFailure {
    static let clientGone = UpstreamFailure(source: .downstream, kind: .cancelled, retry: .no, detail: "the client left")
    static let nothingTried = UpstreamFailure(
        source: .gateway, kind: .overloaded, retry: .no, detail: "no candidate could be tried in time")
}

/// One upstream call up to its first content.
struct SingleAttempt: Sendable {
    let services: GatewayServices
    let admission: Admission
    let candidate: PricedCandidate
    let settle: Settle
    let remaining: Duration

    /// The largest whole answer that is held in memory.
    private static let maximumWholeBytes = 64 * 1024 * 1024
    /// How much of an error body is read.
    private static let maximumErrorBytes = 64 * 1024

    func run() async -> Attempt.Result {
        guard let provider = admission.accepted.snapshot.provider(of: candidate.route.channel) else {
            return .failed(UpstreamFailure(source: .gateway, kind: .server, detail: "no adaptor for the channel"))
        }
        let call = UpstreamCall(
            envelope: admission.envelope, channel: candidate.route.channel, key: candidate.route.key,
            model: candidate.route.model, upstreamModel: candidate.route.upstreamModel, quote: candidate.quote)
        settle.update { state in
            state.candidate = candidate
            state.progress = AnswerProgress()
            state.attempts += 1
        }
        do throws(UpstreamFailure) {
            return try await attempt(provider, call)
        } catch {
            // Nothing has reached the client: what would be a broken stream later is a reason to go on now.
            var failure = error
            if failure.kind == .truncated || failure.kind == .midStream {
                failure.kind = .malformed
                failure.retry = .otherEndpoint
            }
            return .failed(failure)
        }
    }

    private func attempt(_ provider: any Provider, _ call: UpstreamCall) async throws(UpstreamFailure) -> Attempt.Result {
        let request = try provider.request(for: call)
        let cancellation = UpstreamCancellation()
        let presence = admission.accepted.presence
        let policy = disconnectPolicy
        if policy == .cancel { presence?.onGone { cancellation.cancel() } }
        let response = try await send(request, cancellation)
        if let id = provider.generationID(response.head) { settle.update { $0.progress.generationID = id } }
        guard (200..<300).contains(response.head.status) else {
            throw await refusal(response, provider)
        }
        if admission.envelope.isStream {
            guard isEventStream(response.head) else { throw await notAStream(response, provider, call) }
            return .stream(try await firstContent(response, provider.streamDecoder(for: call)))
        }
        let body = try await collect(response.body, limit: Self.maximumWholeBytes)
        let answer = try provider.decode(body, for: call)
        services.health.succeeded(candidate.route.target)
        commit(answer.progress)
        return .whole(answer)
    }

    /// What a client's leaving does to the upstream call.
    private var disconnectPolicy: GatewayConfiguration.DisconnectPolicy {
        let configured = admission.accepted.snapshot.configuration.metering.onClientDisconnect
        guard configured == .auto else { return configured }
        let stops = admission.envelope.isStream && candidate.route.channel.provider.billing.cancelStopsBilling
        return stops ? .cancel : .drain
    }

    private func send(
        _ request: UpstreamRequest, _ cancellation: UpstreamCancellation
    ) async throws(UpstreamFailure) -> UpstreamResponse {
        var timeouts = candidate.route.channel.timeouts
        timeouts.total = min(timeouts.total, remaining)
        timeouts.firstByte = min(timeouts.firstByte, remaining)
        let options = TransportOptions(timeouts: timeouts, proxy: candidate.route.channel.proxy)
        let start = services.clock.monotonic
        defer { waited(since: start) }
        do throws(TransportFailure) {
            return try await services.transport.send(request, options: options, cancellation: cancellation)
        } catch {
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence?.isGone == true)
        }
    }

    private func waited(since start: MonotonicInstant) {
        let now = services.clock.monotonic
        settle.update { $0.upstreamWait += start.duration(to: now) }
    }

    private func isEventStream(_ head: UpstreamHead) -> Bool {
        guard let type = head.headers[.contentType] else { return true }
        return type.lowercased().hasPrefix("text/event-stream")
    }

    /// A non-2xx answer, with as much of its body as is needed to name the failure.
    private func refusal(_ response: UpstreamResponse, _ provider: any Provider) async -> UpstreamFailure {
        var body = ByteBuffer()
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
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence?.isGone == true)
        }
        return whole
    }

    /// Reads until something comes that the client can use. The timer covers comments and empty deltas, which keep the
    /// transport's own idle timer quiet.
    private func firstContent(
        _ response: UpstreamResponse, _ fresh: any StreamDecoder
    ) async throws(UpstreamFailure) -> StreamAnswer {
        var decoder = fresh
        var held = ByteBuffer()
        let limit = min(candidate.route.channel.timeouts.firstByte, remaining)
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
                throw error
            }
            commit(decoder.progress)
            return StreamAnswer(
                body: response.body, decoder: decoder, held: held, hasEnded: true, failure: error,
                candidate: candidate, cancelsWithClient: disconnectPolicy == .cancel)
        }
        commit(decoder.progress)
        return StreamAnswer(
            body: response.body, decoder: decoder, held: held, hasEnded: hasEnded, failure: nil,
            candidate: candidate, cancelsWithClient: disconnectPolicy == .cancel)
    }

    private func next(_ body: any UpstreamBody, _ timer: FirstContentTimer) async throws(UpstreamFailure) -> ByteBuffer? {
        do throws(TransportFailure) {
            return try await body.next()
        } catch {
            if timer.hasFired { throw UpstreamFailure(kind: .timeout, detail: "no content in time") }
            throw UpstreamFailure(transport: error, clientGone: admission.accepted.presence?.isGone == true)
        }
    }

    private func commit(_ progress: AnswerProgress) {
        let now = services.clock.monotonic
        settle.update { state in
            let generationID = state.progress.generationID
            state.progress = progress
            if let generationID { state.progress.generationID = generationID }
            state.isCommitted = true
            state.firstContentAt = now
        }
    }
}

/// Ends a body when no content has come in time. A timer of the connection's event loop, not a task.
private final class FirstContentTimer: Sendable {
    private let flag = AtomicFlag()
    private let scheduled: Scheduled<Void>

    init(body: any UpstreamBody, eventLoop: any EventLoop, after limit: Duration) {
        let flag = flag
        scheduled = eventLoop.scheduleTask(in: TimeAmount(limit)) {
            flag.set()
            body.cancel()
        }
    }

    var hasFired: Bool { flag.isSet }
    func stop() { scheduled.cancel() }
}
