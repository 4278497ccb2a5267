import NIOCore
import Platform
import RouterCore

/// One stream to a client. A class, because the tasks of thousands of streams are suspended in its functions, and their frames have to be
/// small.
final class StreamRun {
    private let answer: StreamAnswer
    private var decoder: any StreamDecoder
    private let settlement: Settlement
    private let presence: ClientPresence
    private var clientIsGone = false
    private var upstreamWait = Duration.zero

    /// Long enough to be in the future when the loop checks for due timers.
    private static let turnPause = TimeAmount.microseconds(50)

    /// - Throws: when another relay has already taken the answer.
    init(_ answer: StreamAnswer, _ settlement: Settlement) throws {
        guard let decoder = answer.decoder.take() else { throw UpstreamFailure.nothingTried }
        self.answer = answer
        self.decoder = decoder
        self.settlement = settlement
        presence = settlement.admission.accepted.presence
    }

    /// - Throws: when the stream broke or could not be settled; the connection is then closed without the end of the chunked body, so that
    ///   a truncated stream never looks complete.
    /// - Returns: the end of the stream, to be sent with the end of the body.
    func relay(to client: ClientConnection) async throws -> ByteBuffer {
        await write(answer.held, to: client)
        let failure = await pump(to: client)
        return try await finish(failure, to: client)
    }

    /// After the end marker: the rest of the upstream's body is read and discarded, so that its connection can be reused. Usually it has
    /// ended already; a body that has not ended within a second is closed.
    func release() async {
        let body = answer.body
        let timer = settlement.admission.accepted.eventLoop.scheduleTask(in: .seconds(1)) { body.cancel() }
        defer { timer.cancel() }
        do throws(TransportFailure) {
            while try await answer.body.next() != nil {}
        } catch {
            // Cancelled or broken: the connection is closed in either case, and the answer was complete.
        }
    }

    /// Transfers bytes until the stream is complete or broken. One task, no copies except the decoder's; memory is bounded by the decoder's
    /// one event and the transport's buffer; the transport pauses the upstream while this waits for a slow client.
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
                settlement.delivered(decoder.progress)
                await write(out, to: client)
                if bytes.readableBytes >= UpstreamPortion.maximumBytes { await giveWay() }
            }
            return nil
        } catch {
            answer.body.cancel()
            return error
        }
    }

    /// Lets the event loop serve its other connections. A yield would not suffice: the loop processes everything that is ready before it
    /// polls, and a stream with a fast upstream is always ready.
    private func giveWay() async {
        let eventLoop = settlement.admission.accepted.eventLoop
        await withCheckedContinuation { continuation in
            _ = eventLoop.scheduleTask(in: Self.turnPause) { continuation.resume() }
        }
    }

    private func next() async throws(UpstreamFailure) -> ByteBuffer? {
        let clock = settlement.services.clock
        let start = clock.monotonic
        defer { upstreamWait += start.duration(to: clock.monotonic) }
        do throws(TransportFailure) {
            return try await answer.body.next()
        } catch {
            var failure = UpstreamFailure(transport: error, clientGone: presence.isGone || clientIsGone)
            // The deadline of the whole call is no verdict on the channel: a slow client may have used it up.
            if error.kind == .totalTimeout { failure.source = .gateway }
            throw failure
        }
    }

    /// A failed write means that the client has left; reading continues for the usage, or has been cancelled by then.
    private func write(_ bytes: ByteBuffer, to client: ClientConnection) async {
        guard bytes.readableBytes > 0, !clientIsGone else { return }
        do {
            try await client.write(bytes)
        } catch {
            clientIsGone = true
            settlement.leaving.clientLeft()
        }
    }

    private func finish(_ failure: UpstreamFailure?, to client: ClientConnection) async throws -> ByteBuffer {
        let progress = decoder.progress
        let wait = upstreamWait
        settlement.update { state in
            state.take(progress)
            state.upstreamWait += wait
        }
        let isGone = clientIsGone || presence.isGone
        tellHealth(failure)
        guard let failure else {
            try await settlement.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
            settlement.keepResponse(.lastEvent(decoder.trailer))
            return isGone ? ByteBuffer() : decoder.trailer
        }
        let outcome: RequestRecord.Outcome = isGone ? .clientGone : .truncated
        try await settlement.end(Settlement.End(outcome: outcome, status: 200, failure: failure))
        settlement.keepResponse(.nothing)
        // Binary data has no place for an error message; closing the connection is the signal.
        if !isGone, answer.contentType == nil {
            try await client.write(RelayErrors.event(failure, to: settlement.admission.accepted.request))
        }
        throw failure
    }

    private func tellHealth(_ failure: UpstreamFailure?) {
        guard let failure else { return settlement.endAttempt(.completed) }
        if let channel = settlement.snapshot.candidate?.route.channel {
            settlement.services.metrics.attempt(channelID: channel.id, result: failure.kind.rawValue)
        }
        settlement.endAttempt(failure.source == .upstream ? .failed(failure) : .released)
    }
}
