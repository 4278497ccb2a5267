import Adaptors
import HTTPTypes
import Logging
import Metering
import NIOCore
import Platform
import RouterCore

/// Step 6: the answer to the client. The books are written before the last byte goes out, so that an answer that looks
/// complete has been charged, and one that could not be charged does not look complete.
struct Relay: Sendable {
    let settle: Settlement

    private var requestID: RouterCore.RequestID { settle.admission.accepted.requestID }
    private var services: GatewayServices { settle.services }
    private var endpoint: Endpoint { settle.admission.accepted.endpoint }

    // MARK: Whole answers

    func send(_ answer: WholeAnswer) async throws -> ClientAnswer {
        let isGone = settle.admission.accepted.presence.isGone
        try await settle.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
        var headers = limitHeaders
        headers[.contentType] = answer.contentType ?? "application/json"
        return ClientAnswer(status: .ok, headers: headers, bytes: answer.body)
    }

    /// Every candidate failed, or the client's request is at fault: the hold is voided, the client gets a clear error.
    func refuse(_ failure: UpstreamFailure) async throws -> ClientAnswer {
        let error = RelayErrors.answer(failure, to: settle.admission.accepted.request)
        let outcome: RequestRecord.Outcome = failure.source == .downstream ? .clientGone : .failed
        try await settle.end(Settlement.End(outcome: outcome, status: error.status.code, failure: failure))
        return error
    }

    // MARK: Streams

    func stream(_ answer: StreamAnswer) -> ClientAnswer {
        let relay = self
        return ClientAnswer(
            status: .ok, headers: streamHeaders(answer.contentType),
            body: .stream { client in
                let run = try StreamRun(answer, relay.settle)
                client.finish(try await run.relay(to: client))
                await run.release()
            })
    }

    /// The head goes out now, because nothing has come for a while: comments keep the connection alive until there is content or nobody
    /// is left to ask. Failing over stays possible meanwhile; only the status is given away, so a failure is told in band.
    func stream(_ pending: PendingAnswer, keepAlive: Duration) -> ClientAnswer {
        let relay = self
        let body: @Sendable (ClientConnection) async throws -> Void = { client in
            var isGone = false
            var result: Attempt.Result?
            while result == nil {
                if !isGone {
                    do { try await client.write(DialectError.keepAlive(relay.endpoint)) } catch { isGone = true }
                }
                result = await pending.result(within: isGone ? nil : keepAlive)
            }
            switch result {
            case .stream(let answer):
                let run = try StreamRun(answer, relay.settle)
                client.finish(try await run.relay(to: client))
                await run.release()
            case .failed(let failure):
                if failure.source == .downstream { isGone = true }
                try await relay.settle.end(
                    Settlement.End(outcome: isGone ? .clientGone : .failed, status: 200, failure: failure))
                if !isGone {
                    try await client.write(RelayErrors.event(failure, to: relay.settle.admission.accepted.request, hasContent: false))
                }
                throw failure
            case .whole(let answer):
                // The vendor has ignored that a stream was asked for: its answer is the one event.
                try await relay.settle.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
                if !isGone { try await client.write(Self.event(answer.body)) }
                client.finish()
            case nil:
                await relay.settle.abandon()
                throw UpstreamFailure.nothingTried
            }
        }
        return ClientAnswer(status: .ok, headers: streamHeaders(nil), body: .stream(body))
    }

    private static func event(_ body: ByteBuffer) -> ByteBuffer {
        var event = ByteBuffer()
        for line in String(buffer: body).split(whereSeparator: \.isNewline) { event.writeString("data: \(line)\n") }
        event.writeString("\n")
        return event
    }

    /// Says what was changed of the request: strict admission lowered `max_tokens` to what the balance affords, or something without a
    /// price stayed out; and what is left of the limits of key and user.
    private var limitHeaders: HTTPFields {
        var headers = HTTPFields()
        settle.pass?.standing.write(to: &headers)
        let admission = settle.admission
        if let limit = admission.loweredOutput, let name = HTTPField.Name("X-Max-Tokens-Lowered") { headers[name] = String(limit) }
        let extras = admission.extras
        if !extras.toolsLeftOut.isEmpty, let name = HTTPField.Name("X-Tools-Left-Out") {
            headers[name] = extras.toolsLeftOut.prefix(32).joined(separator: ", ")
        }
        if !extras.betasLeftOut.isEmpty, let name = HTTPField.Name("X-Betas-Left-Out") {
            headers[name] = extras.betasLeftOut.prefix(32).joined(separator: ", ")
        }
        return headers
    }

    /// - Parameter contentType: nil = server-sent events.
    private func streamHeaders(_ contentType: String?) -> HTTPFields {
        var headers = limitHeaders
        headers[.contentType] = contentType ?? "text/event-stream; charset=utf-8"
        headers[.cacheControl] = "no-cache"
        // nginx in front of us would collect the stream otherwise.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return headers
    }
}

/// One stream on its way to the client. A class, because the tasks of thousands of streams wait in its functions: their frames stay small.
private final class StreamRun {
    private let answer: StreamAnswer
    private var decoder: any StreamDecoder
    private let settle: Settlement
    private let presence: ClientPresence
    private var clientIsGone = false
    private var upstreamWait = Duration.zero

    /// Long enough to lie in the future when the loop looks what is due.
    private static let turnPause = TimeAmount.microseconds(50)

    /// - Throws: when the answer is on its way already.
    init(_ answer: StreamAnswer, _ settle: Settlement) throws {
        guard let decoder = answer.decoder.take() else { throw UpstreamFailure.nothingTried }
        self.answer = answer
        self.decoder = decoder
        self.settle = settle
        presence = settle.admission.accepted.presence
    }

    /// - Throws: when the stream broke or could not be settled; the connection is then closed without the end of the
    ///   chunked body, so that a cut stream never looks complete.
    /// - Returns: the end of the stream, to be sent with the end of the body.
    func relay(to client: ClientConnection) async throws -> ByteBuffer {
        await write(answer.held, to: client)
        let failure = await pump(to: client)
        return try await finish(failure, to: client)
    }

    /// After the end marker: what is left of the upstream's body is read and thrown away, so that its connection can be used again. Usually
    /// it has ended already; one that has not within a second is closed.
    func release() async {
        let body = answer.body
        let timer = settle.admission.accepted.eventLoop.scheduleTask(in: .seconds(1)) { body.cancel() }
        defer { timer.cancel() }
        do throws(TransportFailure) {
            while try await answer.body.next() != nil {}
        } catch {
            // Cancelled or broken: closed either way, and the answer was complete.
        }
    }

    /// Moves bytes until the stream is complete or broken. One task, no copies but the decoder's, bounded by the decoder's one event
    /// and the transport's buffer; the transport pauses the upstream while we wait for a slow client.
    private func pump(to client: ClientConnection) async -> UpstreamFailure? {
        if let failure = answer.failure { return failure }
        if answer.hasEnded { return nil }
        do throws(UpstreamFailure) {
            while !decoder.isDone {
                var out = ByteBuffer()
                guard let bytes = try await next() else {
                    try decoder.finish(into: &out)
                    await write(out, to: client)
                    return nil
                }
                do throws(UpstreamFailure) {
                    try decoder.push(bytes, into: &out)
                } catch {
                    await write(out, to: client)
                    throw error
                }
                settle.delivered(decoder.progress)
                await write(out, to: client)
                if bytes.readableBytes >= UpstreamPortion.maximumBytes { await giveWay() }
            }
            return nil
        } catch {
            answer.body.cancel()
            return error
        }
    }

    /// Lets the event loop look at its other connections. A yield would not do: the loop works off what is ready before it looks, and a
    /// stream whose upstream is fast is always ready.
    private func giveWay() async {
        let eventLoop = settle.admission.accepted.eventLoop
        await withCheckedContinuation { continuation in
            _ = eventLoop.scheduleTask(in: Self.turnPause) { continuation.resume() }
        }
    }

    private func next() async throws(UpstreamFailure) -> ByteBuffer? {
        let clock = settle.services.clock
        let start = clock.monotonic
        defer { upstreamWait += start.duration(to: clock.monotonic) }
        do throws(TransportFailure) {
            return try await answer.body.next()
        } catch {
            var failure = UpstreamFailure(transport: error, clientGone: presence.isGone || clientIsGone)
            // The deadline of the whole call says nothing of the channel: a slow client may have used it up.
            if error.kind == .totalTimeout { failure.source = .gateway }
            throw failure
        }
    }

    /// A failed write means that the client has left; reading goes on for the usage, or has been cancelled by then.
    private func write(_ bytes: ByteBuffer, to client: ClientConnection) async {
        guard bytes.readableBytes > 0, !clientIsGone else { return }
        do {
            try await client.write(bytes)
        } catch {
            clientIsGone = true
            settle.leaving.clientLeft()
        }
    }

    private func finish(_ failure: UpstreamFailure?, to client: ClientConnection) async throws -> ByteBuffer {
        let progress = decoder.progress
        let wait = upstreamWait
        settle.update { state in
            let generationID = state.progress.generationID
            state.progress = progress
            if let generationID { state.progress.generationID = generationID }
            state.upstreamWait += wait
        }
        let isGone = clientIsGone || presence.isGone
        tellHealth(failure)
        guard let failure else {
            try await settle.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
            return isGone ? ByteBuffer() : decoder.trailer
        }
        let outcome: RequestRecord.Outcome = isGone ? .clientGone : .truncated
        try await settle.end(Settlement.End(outcome: outcome, status: 200, failure: failure))
        // In binary data there is no place for words; the connection that breaks says it.
        if !isGone, answer.contentType == nil {
            try await client.write(RelayErrors.event(failure, to: settle.admission.accepted.request))
        }
        throw failure
    }

    private func tellHealth(_ failure: UpstreamFailure?) {
        guard let failure else { return settle.endAttempt(.completed) }
        if let channel = settle.snapshot.candidate?.route.channel {
            settle.services.metrics.attempt(channelID: channel.id, result: failure.kind.rawValue)
        }
        settle.endAttempt(failure.source == .upstream ? .failed(failure) : .released)
    }
}
