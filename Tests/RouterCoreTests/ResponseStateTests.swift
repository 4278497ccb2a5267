import NIOCore
import RouterCore
import Testing

@Suite struct ResponseStateTests {
    private func envelope(_ json: String) throws -> RequestEnvelope {
        try RequestEnvelope(body: ByteBuffer(string: json), endpoint: .responses)
    }

    @Test func `state is read from the top level`() throws {
        let fields = try envelope(#"{"model":"m","store":true,"previous_response_id":"resp_1","input":[{"store":false}]}"#).stateFields()
        #expect(fields.store == true && fields.previousResponseID == "resp_1" && fields.conversationID == nil && !fields.hasPrompt)
        #expect(try envelope(#"{"model":"m","conversation":"conv_1"}"#).stateFields().conversationID == "conv_1")
        #expect(try envelope(#"{"model":"m","conversation":{"id":"conv_1"}}"#).stateFields().conversationID == "conv_1")
        #expect(try envelope(#"{"model":"m","prompt":{"id":"pmpt_1"}}"#).stateFields().hasPrompt)
        #expect(try envelope(#"{"model":"m","background":true}"#).stateFields().isBackground)
        #expect(try !envelope(#"{"model":"m","background":false}"#).stateFields().isBackground)
        let none = #"{"model":"m","store":null,"previous_response_id":null,"conversation":null,"prompt":null}"#
        #expect(try envelope(none).stateFields() == ResponseStateFields())
    }

    @Test(arguments: [
        (#""store":"yes""#, "store"), (#""store":true,"store":false"#, "store"), (#""previous_response_id":7"#, "previous_response_id"),
        (#""previous_response_id":"a","previous_response_id":"b""#, "previous_response_id"),
        (#""conversation":{"name":"x"}"#, "conversation"),
        (#""conversation":true"#, "conversation"), (#""background":"yes""#, "background"),
        (#""background":false,"background":true"#, "background"),
        (#""previous_response_id":"\#(String(repeating: "a", count: 600))""#, "previous_response_id"),
    ]) func `what cannot be understood is refused by name`(_ json: String, _ param: String) throws {
        let error = #expect(throws: RequestEnvelope.Rejection.self) { try envelope(#"{"model":"m",\#(json)}"#).stateFields() }
        #expect(error?.param == param && error?.message.contains(param) == true)
    }

    /// Otherwise a vendor that matches names regardless of case would be told of state that was never looked up.
    @Test(arguments: ["Store", "PREVIOUS_RESPONSE_ID", "Conversation", #"st\u006fre"#]) func `names in disguise are refused`(
        _ name: String
    ) throws {
        #expect(throws: RequestEnvelope.Rejection.self) { try envelope(#"{"model":"m","\#(name)":"x"}"#) }
    }

    @Test(arguments: [
        (
            #"{"model":"m","previous_response_id":"r","input":"x","store":true}"#,
            #"{"model":"m","input":[1],"store":true}"#
        ),
        (#"{"input":"x","model":"m","conversation":"c"}"#, #"{"input":[1],"model":"m"}"#),
        (#"{"previous_response_id":"r","model":"m"}"#, #"{"input":[1],"model":"m"}"#),
        (#"{ "conversation":{"id":"c"}, "model":"m", "input":[ ], "n1": 1.50 }"#, #"{ "model":"m", "input":[1], "n1": 1.50 }"#),
    ]) func `earlier items take the place of what named them`(_ before: String, _ after: String) throws {
        let changed = try envelope(before).withInput(ByteBuffer(string: "[1]"))
        #expect(String(buffer: changed.body) == after)
        #expect(changed.model == "m")
    }

    @Test(arguments: [
        (#"{"model":"m","background":true,"input":"x"}"#, #"{"stream":true,"model":"m","input":"x"}"#),
        (#"{ "background":true, "stream":false, "model":"m" }"#, #"{"stream":true,"model":"m" }"#),
    ]) func `made by the gateway, a background response is a stream that it reads`(_ before: String, _ after: String) throws {
        let changed = try envelope(before).streamedInForeground()
        let spaceless = String(buffer: changed.body).filter { $0 != " " }
        #expect(spaceless == after.filter { $0 != " " } && changed.isStream && changed.model == "m")
        #expect(try !changed.stateFields().isBackground)
    }

    @Test(
        arguments: [
            ("gateway", StoredResponse.Holder.gateway, nil), ("vendor", .vendor, nil),
            ("vendor:00000000-0000-0000-0000-000000000007", .vendor, .vendor(RequestID(bits: 7))),
            ("gateway:a-b:p:12", .gateway, .gateway(ResponseMaker(gateway: "a-b", process: "p", deadline: 12))),
        ] as [(String, StoredResponse.Holder, StoredResponse.Maker?)])
    func `who holds and who makes a response is one word`(
        _ word: String, _ holder: StoredResponse.Holder, _ maker: StoredResponse.Maker?
    ) throws {
        let response = StoredResponse(
            key: .init(userID: 1, id: "r"), holder: holder, maker: maker, createdAt: 1, expiresAt: 2)
        #expect(response.place == word)
        let read = try #require(StoredResponse.read(place: word))
        #expect(read.holder == holder && read.maker == maker)
    }

    @Test(arguments: ["", "nobody", "vendor:", "vendor:x", "gateway:a", "gateway:a:b", "gateway:a:b:c", "gateway:a:b:1:2"])
    func `another word is none`(_ word: String) { #expect(StoredResponse.read(place: word) == nil) }

    @Test func `what the vendor has kept counts as prompt`() throws {
        let plain = try envelope(#"{"model":"m","input":"hello","previous_response_id":"resp_1"}"#)
        let carrying = plain.carrying(tokens: 1_000)
        #expect(plain.prompt.references == 1 && carrying.prompt.references == 0)
        #expect(carrying.prompt.tokens == plain.prompt.tokens + 1_000 && carrying.prompt.upperBound == plain.prompt.upperBound + 1_000)
    }

    // MARK: Pins

    private let channels = [Fleet.channel(1, keys: 3), Fleet.channel(2, priority: 9), Fleet.channel(3)]

    private func query(_ pin: RoutePin) -> RouteQuery {
        var query = RouteQuery(model: "m")
        query.pin = pin
        return query
    }

    @Test(arguments: [0, 1, 2]) func `a pinned request has one channel and one key`(_ key: Int) {
        var rng = SplitMix64(seed: 1)
        let plan = Fleet.plan(channels, query: query(RoutePin(channelID: 1, keyIndex: key)), rng: &rng)
        #expect(plan.candidates.map(\.channel.id) == [1] && plan.candidates.map(\.keyIndex) == [key])
        #expect(plan.dropped.map(\.reason) == [.notTheHolder, .notTheHolder])
    }

    /// The other keys are in health, and none of them would do.
    @Test func `a pinned key that is refused is not replaced by another`() {
        var rng = SplitMix64(seed: 2)
        var health = HealthTable(settings: RoutingSettings())
        health.fail(channels[0], .credentialRefused, key: 1, now: Fleet.start, rng: &rng)
        let plan = Fleet.plan(channels, health: health, query: query(RoutePin(channelID: 1, keyIndex: 1)), rng: &rng)
        #expect(plan.candidates.isEmpty)
    }

    @Test(arguments: [FailureKind.credentialRefused, .rateLimit, .server, .connect])
    func `a pinned attempt that fails is not repeated with another key or channel`(_ kind: FailureKind) {
        var rng = SplitMix64(seed: 3)
        var health = HealthTable(settings: RoutingSettings())
        var budget = RetryBudget(settings: RoutingSettings().retryBudget, now: Fleet.start)
        let plan = Fleet.plan(channels, query: query(RoutePin(channelID: 1, keyIndex: 1)), rng: &rng)
        var sequence = AttemptSequence(
            candidates: plan.candidates, policy: plan.policy, deadline: Fleet.start.advanced(by: .seconds(600)))
        var now = Fleet.start
        var keys: [Int] = []
        for _ in 0..<20 {
            switch sequence.step(&health, &budget, now: now, rng: &rng) {
            case .attempt(_, let candidate, let ticket):
                keys.append(candidate.keyIndex)
                let failure = UpstreamFailure(kind: kind)
                health.ended(ticket, .failed(failure), tokens: 0, tokensPerSecond: nil, now: now, rng: &rng)
                sequence.failed(failure)
            case .wait(let duration): now = now.advanced(by: duration)
            case .stop: break
            }
        }
        #expect(!keys.isEmpty && keys.allSatisfy { $0 == 1 }, "\(keys)")
    }
}
