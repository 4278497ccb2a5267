import NIOCore
import NIOHTTP1
import RouterCore

/// OpenAI's Responses under `/v1`, with state of the vendor's own; under `/stateless/v1` a vendor that has the format and keeps nothing.
extension SimulatorHandler {
    /// A path of this format: what comes after `/responses`, and whether the vendor keeps state.
    static func responsesPath(_ path: String) -> (rest: [Substring], isStateful: Bool)? {
        var parts = path.split(separator: "/")
        let isStateful = parts.first != "stateless"
        if !isStateful { parts.removeFirst() }
        guard parts.count >= 2, parts[0] == "v1", parts[1] == "responses" else { return nil }
        return (Array(parts.dropFirst(2)), isStateful)
    }

    func responses(
        _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ rest: [Substring], isStateful: Bool, query: String
    ) {
        let key = head.headers.first(name: "authorization").map { String($0.dropFirst("Bearer ".count)) } ?? ""
        if head.method == .POST, rest.isEmpty { return createResponse(context, head, key, isStateful: isStateful) }
        if head.method == .POST, rest == ["compact"], isStateful { return compact(context, head, key) }
        guard isStateful, let id = rest.first.map(String.init), let kept = simulator.responses.find(id, key: key) else {
            return notFound(context, head, "Response with id '\(rest.first ?? "")' not found.")
        }
        switch (head.method, rest.dropFirst().first) {
        case (.GET, nil):
            if let row = simulator.responses.poll(id, key: key) { simulator.record.append(row) }
            json(context, head, .ok, simulator.responses.find(id, key: key)?.body ?? kept.body)
        case (.GET, "input_items"):
            let isAscending = query.split(separator: "&").contains("order=asc")
            let items = isAscending ? kept.items : kept.items.reversed()
            json(
                context, head, .ok,
                [
                    "object": "list", "data": .array(items), "first_id": items.first?["id"] ?? "", "last_id": items.last?["id"] ?? "",
                    "has_more": false,
                ])
        case (.DELETE, nil):
            simulator.responses.remove(id)
            json(context, head, .ok, ["id": .string(id), "object": "response", "deleted": true])
        case (.POST, "cancel"):
            guard kept.body["background"] == true else {
                return refuse(context, head, .badRequest, "Cannot cancel a synchronous response.")
            }
            if let row = simulator.responses.cancel(id, key: key) { simulator.record.append(row) }
            json(context, head, .ok, simulator.responses.find(id, key: key)?.body ?? kept.body)
        default: notFound(context, head, "no such path")
        }
    }

    private func notFound(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ message: String) {
        refuse(context, head, .notFound, message)
    }

    private func refuse(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ status: HTTPResponseStatus, _ message: String) {
        json(
            context, head, status,
            ["error": ["message": .string(message), "type": "invalid_request_error", "param": .null, "code": .null]])
    }

    /// The user's messages, and one item that stands for all the rest.
    private func compact(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ key: String) {
        guard let request = try? JSONValue(parsing: body), let model = request["model"]?.stringValue else {
            return refuse(context, head, .badRequest, "the body is not a JSON object with a model")
        }
        var earlier: [JSONValue] = []
        if let previous = request["previous_response_id"]?.stringValue {
            guard let kept = simulator.responses.find(previous, key: key) else {
                return notFound(context, head, "Previous response with id '\(previous)' not found.")
            }
            earlier = kept.items + (kept.body["output"]?.arrayValue ?? [])
        }
        let id = "resp_\(simulator.record.count + 1)_\(UInt32.random(in: 0 ... .max))"
        let turn = ResponsesTurn(id: id, model: model, request: request, earlier: earlier, controls: Controls())
        let asked = turn.items.filter { $0["role"] == "user" }
        var row = BillingRow()
        row.generationID = id
        row.key = String(key.suffix(4))
        row.model = model
        row.endpoint = "compact"
        row.promptTokens = turn.answer.promptTokens
        row.completionTokens = 7
        row.usageSent = true
        row.outcome = "completed"
        simulator.record.append(row)
        json(
            context, head, .ok,
            [
                "id": .string(id), "object": "response.compaction", "created_at": .integer(1_700_000_000),
                "output": .array(asked + [["id": .string("cmp_\(id)"), "type": "compaction", "encrypted_content": "short"]]),
                "usage": [
                    "input_tokens": .integer(row.promptTokens), "input_tokens_details": ["cached_tokens": .integer(0)],
                    "output_tokens": .integer(7), "output_tokens_details": ["reasoning_tokens": .integer(0)],
                    "total_tokens": .integer(row.promptTokens + 7),
                ],
            ])
    }

    private func createResponse(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ key: String, isStateful: Bool) {
        guard let request = try? JSONValue(parsing: body), let asked = request["model"]?.stringValue else {
            return refuse(context, head, .badRequest, "the body is not a JSON object with a model")
        }
        if !isStateful, request["store"] == true || request["previous_response_id"]?.stringValue != nil {
            return refuse(context, head, .badRequest, "this vendor keeps no responses")
        }
        let parts = asked.split(separator: "@", maxSplits: 1)
        var controls = Controls()
        do throws(Controls.Unknown) {
            if let scripted = simulator.script.take(model: String(parts.first ?? ""), key: key) { try controls.add(scripted) }
            if parts.count > 1 { try controls.add(parts[1]) }
        } catch {
            return refuse(context, head, .badRequest, "unknown controls: \(error.names)")
        }
        if controls.has("strict"), let reason = VendorRules.responses.refusal(of: request) { controls.refuse(reason) }
        var earlier: [JSONValue] = []
        if let previous = request["previous_response_id"]?.stringValue {
            guard let kept = simulator.responses.find(previous, key: key) else {
                return notFound(context, head, "Previous response with id '\(previous)' not found.")
            }
            earlier = kept.items + (kept.body["output"]?.arrayValue ?? [])
        }
        let id = "resp_\(simulator.record.count + 1)_\(UInt32.random(in: 0 ... .max))"
        let turn = ResponsesTurn(id: id, model: asked, request: request, earlier: earlier, controls: controls)
        var row = BillingRow()
        row.generationID = id
        row.key = String(key.suffix(4))
        row.model = asked
        row.endpoint = "responses"
        row.isStream = request["stream"]?.boolValue ?? false
        row.promptTokens = turn.answer.promptTokens
        row.cachedTokens = controls.count("cached_tokens") ?? 0
        if let status = controls.number("status") {
            row.promptTokens = 0
            row.outcome = "status"
            simulator.record.append(row)
            return refuse(context, head, HTTPResponseStatus(statusCode: status), controls.text("message") ?? "simulated \(status)")
        }
        if request["background"] == true {
            guard isStateful, request["store"] != false, !row.isStream else {
                return refuse(context, head, .badRequest, "background responses are kept, and not streamed here")
            }
            let pending = SimulatedResponses.Pending(
                turn: turn, row: row, polls: controls.number("polls") ?? 2, end: controls.text("response_ends") ?? "completed")
            let body = turn.body(status: "queued")
            simulator.responses.keep(id, .init(key: key, body: body, items: turn.items, pending: pending))
            return json(context, head, .ok, body)
        }
        if isStateful, request["store"] != false {
            simulator.responses.keep(id, .init(key: key, body: turn.body(), items: turn.items))
        }
        if row.isStream {
            return stream(context, head, turn.plan(defaultPace: simulator.configuration.defaultPace), row, controls)
        }
        row.completionTokens = turn.completionTokens
        row.usageSent = true
        row.outcome = "completed"
        simulator.record.append(row)
        json(context, head, .ok, turn.body())
    }
}
