import Adaptors
import Config
import GatewayState
import NIOCore
import RouterCore

/// Finds what a Responses request refers to, before its plan: what the gateway keeps becomes part of its input, and what a vendor keeps
/// decides where it goes.
struct StatefulRequest {
    let keeper: ResponseKeeper
    let accepted: Accepted

    private var settings: GatewayConfiguration.Responses { accepted.snapshot.configuration.responses }
    private var userID: Int64 { accepted.principal.userID }
    private var vendorsKeep: Bool { accepted.snapshot.configuration.metering.admission != .strict }
    /// Makes the ids of input items unique; those of the answer's items are made of the request's id as well.
    private var base: String { "\(accepted.requestID)_in" }

    /// - Returns: the request that goes on, and its state; nil = it has none.
    /// - Throws: ``APIError``.
    func prepared(_ envelope: RequestEnvelope) async throws -> (envelope: RequestEnvelope, state: ResponseState?) {
        let fields = try fields(envelope)
        guard keeper.isOn(settings) else {
            try refuseState(fields)
            return (envelope, nil)
        }
        if fields.isBackground { try checkBackground(envelope, fields) }
        let envelope = try await resolved(envelope)
        if let id = fields.previousResponseID { return try await continuing(id, envelope, fields) }
        if let id = fields.conversationID { return try await conversing(id, envelope, fields) }
        let room = Int64(envelope.body.readableBytes)
        guard try isKept(fields, bytes: room) else { return (envelope, nil) }
        let state = ResponseState(
            keeper: keeper, isKept: true, vendorsKeep: vendorsKeep, isBackground: fields.isBackground, input: input(envelope), base: base)
        return (envelope, state)
    }

    /// A response that nobody could ask for would be made for nobody.
    private func checkBackground(_ envelope: RequestEnvelope, _ fields: ResponseStateFields) throws {
        guard accepted.endpoint == .responses else { throw APIError.badRequest("'background' is not supported here", param: "background") }
        if fields.store == false {
            throw APIError.badRequest(
                "'background' needs 'store': a response that is made behind its answer can only be had from where it is kept",
                param: "background")
        }
        if envelope.isStream {
            throw APIError.badRequest(
                """
                'stream' is not supported together with 'background': the gateway cannot resume a stream; leave it out, and ask for \
                the response until its status is final
                """, param: "stream")
        }
    }

    private func fields(_ envelope: RequestEnvelope) throws -> ResponseStateFields {
        let fields: ResponseStateFields
        do throws(RequestEnvelope.Rejection) {
            fields = try envelope.stateFields()
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
        if fields.hasPrompt {
            throw APIError.badRequest(
                """
                'prompt' is not supported: prompts stored at a vendor belong to the gateway's account there, and what they cost cannot be \
                held; send their text in 'instructions' and 'input'
                """, param: "prompt")
        }
        if fields.previousResponseID != nil, fields.conversationID != nil {
            throw APIError.badRequest("'previous_response_id' and 'conversation' cannot be used together", param: "conversation")
        }
        return fields
    }

    /// Nothing is kept here: a request that relies on it must know.
    private func refuseState(_ fields: ResponseStateFields) throws {
        func refuse(_ name: String, _ rest: String) -> APIError {
            .badRequest("'\(name)' \(rest): this gateway keeps no responses (responses.store is off); send the whole input", param: name)
        }
        if fields.previousResponseID != nil { throw refuse("previous_response_id", "is not supported") }
        if fields.conversationID != nil { throw refuse("conversation", "is not supported") }
        if fields.store == true { throw refuse("store", "must be false") }
        if fields.isBackground { throw refuse("background", "is not supported") }
    }

    /// Whether the answer is kept. A full store serves requests that did not ask for it.
    private func isKept(_ fields: ResponseStateFields, bytes: Int64) throws -> Bool {
        guard fields.store != false, accepted.endpoint == .responses else { return false }
        if keeper.hasRoom(userID, bytes: bytes, settings) { return true }
        guard fields.store == nil, !fields.isBackground else { throw APIError.responseStoreFull(settings.limits) }
        return false
    }

    private func find(_ id: String) async throws -> StoredResponse? {
        do {
            return try await keeper.find(id, userID: userID)
        } catch {
            throw APIError.unavailable("The stored responses cannot be read at the moment; try again.")
        }
    }

    private func continuing(
        _ id: String, _ envelope: RequestEnvelope, _ fields: ResponseStateFields
    ) async throws -> (envelope: RequestEnvelope, state: ResponseState?) {
        guard let previous = try await find(id), previous.kind == .response else {
            throw APIError.responseNotFound(id, param: "previous_response_id")
        }
        guard previous.maker == nil else {
            throw APIError.badRequest(
                "The response '\(id)' is still being made; ask for it until its status is final, then continue it.",
                param: "previous_response_id")
        }
        switch previous.holder {
        case .vendor:
            let pin = try pin(previous)
            let isKept = try isKept(fields, bytes: 0)
            let state = ResponseState(
                keeper: keeper, isKept: isKept, vendorsKeep: vendorsKeep, isBackground: fields.isBackground, previousResponseID: id,
                pin: pin, carriedTokens: previous.contextTokens)
            return (envelope, state)
        case .gateway:
            let output = (try? JSONValue(parsing: ByteBuffer(bytes: previous.body)))?["output"]?.arrayValue ?? []
            let earlier = ResponseItems.read(previous.items) + output
            let longer = try expanded(envelope, with: earlier)
            let state = ResponseState(
                keeper: keeper, isKept: try isKept(fields, bytes: Int64(longer.body.readableBytes)), vendorsKeep: vendorsKeep,
                isBackground: fields.isBackground, previousResponseID: id, earlier: earlier, input: input(envelope), base: base)
            return (longer, state)
        }
    }

    private func conversing(
        _ id: String, _ envelope: RequestEnvelope, _ fields: ResponseStateFields
    ) async throws -> (envelope: RequestEnvelope, state: ResponseState?) {
        guard let conversation = try await find(id), conversation.kind == .conversation else { throw APIError.conversationNotFound(id) }
        let earlier = ResponseItems.read(conversation.items)
        let longer = try expanded(envelope, with: earlier)
        let state = ResponseState(
            keeper: keeper, isKept: try isKept(fields, bytes: Int64(longer.body.readableBytes)), vendorsKeep: vendorsKeep,
            isBackground: fields.isBackground, conversation: conversation, earlier: earlier, input: input(envelope), base: base)
        return (longer, state)
    }

    /// The channel and the key with which the earlier response was made.
    private func pin(_ response: StoredResponse) throws -> RoutePin {
        let channel = accepted.snapshot.configuration.routes.channel(id: response.channelID)
        guard let channel, channel.isEnabled, channel.provider.holdsResponses,
            let pin = RoutePin(channel, keyFingerprint: response.keyFingerprint)
        else { throw APIError.responseOutOfReach(response.key.id) }
        return pin
    }

    // MARK: Input

    private func input(_ envelope: RequestEnvelope) -> ByteBuffer? {
        guard let member = envelope.member("input") else { return nil }
        return envelope.body.getSlice(at: envelope.body.readerIndex + member.value.lowerBound, length: member.value.count)
    }

    /// References to items that the gateway keeps (`item_reference`, which Vercel's AI SDK sends instead of what the model has said) become
    /// these items; others are left to the vendor.
    private func resolved(_ envelope: RequestEnvelope) async throws -> RequestEnvelope {
        guard let input = input(envelope), Self.mentionsReference(input),
            var items = (try? JSONValue(parsing: input))?.arrayValue
        else { return envelope }
        var wanted: [String: Set<String>] = [:]
        for item in items where item["type"] == "item_reference" {
            guard let id = item["id"]?.stringValue, let response = ResponseItems.response(ofItem: id) else { continue }
            wanted[response, default: []].insert(id)
        }
        guard wanted.count <= Self.maximumReferences else {
            throw APIError.badRequest("'input' refers to items of more than \(Self.maximumReferences) responses", param: "input")
        }
        let known = try await referred(wanted)
        // One item may be referred to many times: what would be written is bounded before it is.
        var room = bodyLimit - envelope.body.readableBytes
        var hasChanged = false
        for (index, item) in items.enumerated() where item["type"] == "item_reference" {
            guard let id = item["id"]?.stringValue, let found = known[id] else { continue }
            room -= found.bytes
            guard room >= 0 else { throw tooLong() }
            items[index] = found.item
            hasChanged = true
        }
        guard hasChanged else { return envelope }
        do throws(RequestEnvelope.Rejection) {
            return try envelope.withInput(ResponseItems.bytes(ResponseItems.resent(items)), keepsState: true)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }

    /// Responses whose items one request may refer to: each is looked up.
    private static let maximumReferences = 100

    /// A plain search, because most inputs are long and mention none.
    static func mentionsReference(_ input: ByteBuffer) -> Bool {
        let word: StaticString = "item_reference"
        let (text, length) = (word.utf8Start, word.utf8CodeUnitCount)
        let bytes = input.readableBytesUInt8Span
        var start = 0
        while start + length <= bytes.count {
            var matched = 0
            while matched < length, bytes[start + matched] == text[matched] { matched += 1 }
            if matched == length { return true }
            start += 1
        }
        return false
    }

    /// The items with their sizes in bytes; of what is read for them, nothing else is kept.
    private func referred(_ wanted: [String: Set<String>]) async throws -> [String: (item: JSONValue, bytes: Int)] {
        var known: [String: (item: JSONValue, bytes: Int)] = [:]
        var room = bodyLimit
        for (id, items) in wanted {
            guard let response = try await find(id), response.kind == .response, response.holder == .gateway else { continue }
            room -= response.items.count + response.body.count
            guard room >= 0 else { throw tooLong() }
            let output = (try? JSONValue(parsing: ByteBuffer(bytes: response.body)))?["output"]?.arrayValue ?? []
            for item in ResponseItems.read(response.items) + output {
                guard let id = item["id"]?.stringValue, items.contains(id) else { continue }
                known[id] = (item, item.text.utf8.count)
            }
        }
        return known
    }

    private var bodyLimit: Int { accepted.snapshot.configuration.server.maxBodyBytes }

    private func tooLong() -> APIError {
        .badRequest(
            "the input with what it refers to has more than \(bodyLimit) bytes, which is the limit of a request (server.max_body_bytes)",
            param: "input")
    }

    /// The request with earlier items before its own.
    private func expanded(_ envelope: RequestEnvelope, with earlier: [JSONValue]) throws -> RequestEnvelope {
        let own: JSONValue?
        do throws(JSONScanError) {
            own = try input(envelope).map { slice throws(JSONScanError) in try JSONValue(parsing: slice) }
        } catch {
            throw APIError.badRequest("'input' cannot be read: \(error)", param: "input")
        }
        let items = ResponseItems.resent(earlier + ResponseItems.listed(own, base: base))
        let bytes = ResponseItems.bytes(items)
        guard bytes.readableBytes + envelope.body.readableBytes <= bodyLimit else { throw tooLong() }
        do throws(RequestEnvelope.Rejection) {
            return try envelope.withInput(bytes)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
    }
}
