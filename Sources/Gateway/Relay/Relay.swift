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
    let settlement: Settlement

    private var requestID: RequestID { settlement.admission.accepted.requestID }
    private var services: SettlementServices { settlement.services }
    private var endpoint: Endpoint { settlement.admission.accepted.endpoint }

    // MARK: Whole answers

    func send(_ answer: WholeAnswer) async throws -> ClientAnswer {
        let isGone = settlement.admission.accepted.presence.isGone
        try await settlement.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
        settlement.keepResponse(.whole(answer.body))
        var headers = limitHeaders
        headers[.contentType] = answer.contentType ?? "application/json"
        let isOpenRouters = endpoint == .chat && settlement.admission.accepted.request.errorStyle == .openRouter
        let body = isOpenRouters ? OpenRouterAnswer.completed(answer.body) : answer.body
        return ClientAnswer(status: .ok, headers: headers, bytes: body)
    }

    /// Every candidate failed, or the client's request is at fault: the hold is voided, and the client gets a clear error.
    func refuse(_ failure: UpstreamFailure) async throws -> ClientAnswer {
        let error = RelayErrors.answer(failure, to: settlement.admission.accepted.request)
        let outcome: RequestRecord.Outcome = failure.source == .downstream ? .clientGone : .failed
        try await settlement.end(Settlement.End(outcome: outcome, status: error.status.code, failure: failure))
        return error
    }

    // MARK: Streams

    func stream(_ answer: StreamAnswer) -> ClientAnswer {
        let relay = self
        return ClientAnswer(
            status: .ok, headers: streamHeaders(answer.contentType),
            body: .stream { client in
                let run = try StreamRun(answer, relay.settlement)
                client.finish(try await run.relay(to: client))
                await run.release()
            })
    }

    /// Sends the head now, because nothing has arrived for a while: comments keep the connection alive until there is content or no
    /// candidate is left. Failing over remains possible; only the status is fixed, so a failure is reported in band.
    func stream(_ pending: PendingAnswer, keepAlive: Duration) -> ClientAnswer {
        let relay = self
        let body: @Sendable (ClientConnection) async throws -> Void = { client in
            var isGone = false
            var result: Attempt.Result?
            while result == nil {
                if !isGone {
                    do { try await client.write(DialectError.keepAlive(relay.endpoint.dialect)) } catch { isGone = true }
                }
                result = await pending.result(within: isGone ? nil : keepAlive)
            }
            switch result {
            case .stream(let answer):
                let run = try StreamRun(answer, relay.settlement)
                client.finish(try await run.relay(to: client))
                await run.release()
            case .failed(let failure):
                if failure.source == .downstream { isGone = true }
                try await relay.settlement.end(
                    Settlement.End(outcome: isGone ? .clientGone : .failed, status: 200, failure: failure))
                if !isGone {
                    try await client.write(RelayErrors.event(failure, to: relay.settlement.admission.accepted.request, hasContent: false))
                }
                throw failure
            case .whole(let answer):
                // The vendor ignored that a stream was requested: its answer is the only event.
                try await relay.settlement.end(Settlement.End(outcome: isGone ? .clientGone : .completed, status: 200, failure: nil))
                settlement.keepResponse(.whole(answer.body))
                if !isGone { try await client.write(Self.event(answer.body)) }
                client.finish()
            case nil:
                await relay.settlement.abandon()
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

    /// Headers that report changes of the request (strict admission lowered `max_tokens` to what the balance affords, or something without
    /// a price was left out) and the remaining limits of key and user.
    private var limitHeaders: HTTPFields { Self.headers(settlement.admission, settlement.pass, dropped: settlement.droppedFields) }

    static func headers(_ admission: Admission, _ pass: LimitPass?, dropped fields: [String]) -> HTTPFields {
        var headers = HTTPFields()
        pass?.standing.write(to: &headers)
        if let limit = admission.loweredOutput, let name = HTTPField.Name("X-Max-Tokens-Lowered") { headers[name] = String(limit) }
        let extras = admission.extras
        if !extras.toolsLeftOut.isEmpty, let name = HTTPField.Name("X-Tools-Left-Out") {
            headers[name] = extras.toolsLeftOut.prefix(32).joined(separator: ", ")
        }
        if !extras.betasLeftOut.isEmpty, let name = HTTPField.Name("X-Betas-Left-Out") {
            headers[name] = extras.betasLeftOut.prefix(32).joined(separator: ", ")
        }
        let dropped = admission.envelope.droppedFields + fields
        if !dropped.isEmpty, let name = HTTPField.Name("X-Dropped-Fields") { headers[name] = dropped.joined(separator: ", ") }
        return headers
    }

    /// - Parameter contentType: nil = server-sent events.
    private func streamHeaders(_ contentType: String?) -> HTTPFields {
        var headers = limitHeaders
        headers[.contentType] = contentType ?? "text/event-stream; charset=utf-8"
        headers[.cacheControl] = "no-cache"
        // Otherwise an nginx in front of the gateway would buffer the stream.
        if let name = HTTPField.Name("X-Accel-Buffering") { headers[name] = "no" }
        return headers
    }
}
