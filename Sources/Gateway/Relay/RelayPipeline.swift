import Config
import GatewayState
import Metering
import NIOCore
import RouterCore

/// The main job, in the order in which it happens. Each step is a type of its own in a file of its own:
///
/// 1. ``Accept``   who asks, and with which configuration
/// 2. ``Read``     the body, bounded, scanned once
/// 3. ``Plan``     which channels, in which order
/// 4. ``Admit``    the price and the hold: no call without money for it
/// 5. ``Attempt``  one channel after the other until content comes
/// 6. ``Relay``    bytes to the client as they come
/// 7. ``Settlement``   the one end of the hold: charged or voided
final class RelayPipeline: Sendable {
    private let limits: RequestLimits
    private let plan: Plan
    private let admit: Admit
    private let attempts: AttemptServices
    private let settlements: SettlementServices
    private let responses: ResponseKeeper
    private let background: Background

    init(
        limits: RequestLimits, plan: Plan, admit: Admit, attempts: AttemptServices, settlements: SettlementServices,
        responses: ResponseKeeper, relays: RelayTasks
    ) {
        self.limits = limits
        self.plan = plan
        self.admit = admit
        self.attempts = attempts
        self.settlements = settlements
        self.responses = responses
        background = Background(admit: admit, attempts: attempts, settlements: settlements, keeper: responses, relays: relays)
    }

    /// - Parameters:
    ///   - executor: where the call and everything that it starts run.
    ///   - share: the memory of a large body, for work that goes on behind the answer.
    func respond(
        _ accepted: Accepted, _ body: ByteBuffer, executor: LoopExecutor?, share: BodyShare? = nil
    ) async throws -> ClientAnswer {
        let question = accepted.endpoint.dialect == .responses ? try await readStateful(accepted, body) : try read(accepted, body)
        let pass = try accepted.principal.rules.isEmpty ? nil : letIn(accepted, question)
        if question.planned.state?.isBackground == true {
            return try await background.respond(accepted, question, pass, executor, share)
        }
        let admission = try await admit.run(accepted, question)

        // From here on money is held. Whatever happens, `settlement` ends the hold exactly once; if this call and the answer are dropped
        // without doing so, its deinit hands the request to the settler.
        let settlement = Settlement(admission: admission, services: settlements, pass: pass)
        let attempt = Attempt(services: attempts, admission: admission)
        do {
            let result: Attempt.Result
            if admission.envelope.delivery == .events {
                let keepAlive = accepted.snapshot.configuration.routes.settings.keepAlive
                let pending = PendingAnswer(attempt, settlement, executor)
                // A JSON array has no place for comments.
                let isPatient = keepAlive > .zero && !admission.envelope.streamsArray
                guard let early = await pending.result(within: isPatient ? keepAlive : nil) else {
                    return Relay(settlement: settlement).stream(pending, keepAlive: keepAlive)
                }
                result = early
            } else {
                result = await attempt.run(settlement)
            }
            switch result {
            case .whole(let answer):
                return try await Relay(settlement: settlement).send(answer)
            case .stream(let answer):
                return Relay(settlement: settlement).stream(answer)
            case .failed(let failure):
                return try await Relay(settlement: settlement).refuse(failure)
            }
        } catch {
            await settlement.abandon()
            throw error
        }
    }

    /// Whether the limits of the key and its user admit the request. Output that the client has limited must fit; otherwise the expected
    /// output is the one that a hold would use.
    @inline(never)
    private func letIn(_ accepted: Accepted, _ question: PlannedRequest) throws(APIError) -> LimitPass {
        let envelope = question.envelope
        let usual = accepted.snapshot.configuration.metering.defaultHoldOutputTokens
        func times(_ tokens: Int64) -> Int64 { Int64(clamping: Int128(tokens) * Int128(envelope.choices)) }
        let announced = times(min(envelope.maxOutputTokens ?? 0, usual))
        let isOpen = envelope.maxOutputTokens == nil && envelope.endpoint.hasOutputBound
        let tokens = Int64(clamping: Int128(envelope.prompt.tokens) + Int128(announced))
        do throws(LimitBook.Refusal) {
            return try limits.admit(accepted.principal.rules, tokens: tokens, expected: isOpen ? times(usual) : 0)
        } catch {
            throw .rateLimited(error)
        }
    }

    /// Separate from the steps that suspend: large values must not live in their frames, which a stream keeps to its end.
    @inline(never)
    private func read(_ accepted: Accepted, _ body: ByteBuffer) throws -> PlannedRequest {
        let request = accepted.request
        let moderationModel = accepted.snapshot.configuration.models.moderation
        let envelope = try Read(moderationModel: moderationModel).run(
            body, contentType: request.header("content-type"), endpoint: accepted.endpoint, target: request.target)
        return PlannedRequest(envelope: envelope, planned: try plan.run(accepted, envelope))
    }

    /// The same for Responses, which may refer to earlier ones.
    @inline(never)
    private func readStateful(_ accepted: Accepted, _ body: ByteBuffer) async throws -> PlannedRequest {
        let envelope = try Read().run(body, endpoint: accepted.endpoint)
        let (prepared, state) = try await StatefulRequest(keeper: responses, accepted: accepted).prepared(envelope)
        let planned = try plan.run(accepted, prepared, state)
        if let state, state.isBackground { return try Background.decided(prepared, planned, state) }
        return PlannedRequest(envelope: prepared, planned: planned)
    }

    /// Answers a request to count tokens. No vendor is asked.
    func count(_ accepted: Accepted, _ body: ByteBuffer) throws -> ClientAnswer {
        try TokenCount.answer(accepted, body, counting: settlements.vocabulary.tokens)
    }
}
