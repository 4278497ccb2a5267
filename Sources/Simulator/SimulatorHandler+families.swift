import NIOCore
import NIOHTTP1
import RouterCore

/// Answers of the other families: whole and streamed ones, and the faults that do not depend on the format.
extension SimulatorHandler {
    func answer(
        _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ route: (family: SimulatedFamily, model: String?, isStream: Bool)
    ) {
        guard let request = try? JSONValue(parsing: body), let asked = route.model ?? request["model"]?.stringValue else {
            return json(context, head, .badRequest, ["error": ["message": "the body is not a JSON object with a model"]])
        }
        let credential =
            head.headers.first(name: "x-api-key") ?? head.headers.first(name: "x-goog-api-key")
            ?? head.headers.first(name: "authorization").map { String($0.dropFirst("Bearer ".count)) }
        let parts = asked.split(separator: "@", maxSplits: 1)
        let model = String(parts.first ?? "")
        var controls = Controls()
        do throws(Controls.Unknown) {
            if let scripted = simulator.script.take(model: model, key: credential) { try controls.add(scripted) }
            if parts.count > 1 { try controls.add(parts[1]) }
        } catch {
            return json(context, head, .badRequest, ["error": ["message": .string("unknown controls: \(error.names)")]])
        }
        if controls.has("strict"), let reason = VendorRules(route.family)?.refusal(of: request) { controls.refuse(reason) }
        let id = "msg-\(simulator.record.count + 1)-\(UInt32.random(in: 0 ... .max))"
        let echo = EchoAnswer(request: route.family.canonical(request), model: asked, endpoint: .chat, controls: controls)
        let shapes = FamilyShapes(family: route.family, id: id, answer: echo, controls: controls)
        var row = BillingRow()
        row.generationID = id
        row.key = String((credential ?? "").suffix(4))
        row.model = asked
        row.endpoint = "\(route.family)"
        row.isStream = route.isStream || request["stream"]?.boolValue ?? false
        row.promptTokens = echo.promptTokens
        row.cachedTokens = controls.count("cached_tokens") ?? 0
        row.cacheWriteTokens = controls.count("cache_write_tokens") ?? 0
        row.reasoningTokens = Int64(echo.reasoning.count)
        perform(context, head, shapes, row)
    }

    private func perform(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ shapes: FamilyShapes, _ started: BillingRow) {
        var row = started
        let controls = shapes.controls
        if let status = controls.number("status") {
            row.promptTokens = 0
            row.outcome = "status"
            simulator.record.append(row)
            var headers = [("Content-Type", "application/json")]
            if let seconds = controls.text("retry_after") { headers.append(("Retry-After", seconds)) }
            return send(
                context, head, HTTPResponseStatus(statusCode: status), ByteBuffer(string: shapes.error(status).text), headers)
        }
        guard row.isStream else {
            row.completionTokens = shapes.completionTokens + controls.thinkTokens
            row.reasoningTokens += controls.thinkTokens
            row.usageSent = true
            row.outcome = "completed"
            simulator.record.append(row)
            return json(context, head, .ok, shapes.whole())
        }
        let plan = StreamPlan(family: shapes, defaultPace: simulator.configuration.defaultPace)
        let type = shapes.family == .bedrock ? "application/vnd.amazon.eventstream" : "text/event-stream"
        stream(context, head, plan, row, controls, headers: [("Content-Type", type)])
    }
}
