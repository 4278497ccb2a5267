import NIOCore
import NIOHTTP1
import RouterCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One connection. Collects a request, determines its controls, and answers or fails accordingly.
final class SimulatorHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    let simulator: Simulator
    private var head: HTTPRequestHead?
    private(set) var body = ByteBuffer()
    private var run: StreamRun?
    /// The answer that is delayed or stalled, for the record when the client leaves.
    private var pendingRow: BillingRow?

    init(simulator: Simulator) { self.simulator = simulator }

    func channelActive(context: ChannelHandlerContext) {
        simulator.connected(context.channel)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        run?.clientLeft()
        run = nil
        if var row = pendingRow {
            row.outcome = "client_gone"
            simulator.clientGone()
            simulator.record.append(row)
            pendingRow = nil
        }
        simulator.disconnected(context.channel)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { run?.resume() }
        context.fireChannelWritabilityChanged()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
        case .body(var bytes): body.writeBuffer(&bytes)
        case .end:
            guard let head else { return }
            self.head = nil
            respond(context, head)
        }
    }

    // MARK: Dispatch

    private func respond(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let parts = head.uri.split(separator: "?", maxSplits: 1)
        let path = parts.first.map(String.init) ?? "/"
        let query = parts.count > 1 ? String(parts[1]) : ""
        simulator.counted(path)
        if simulator.configuration.isFast, path.hasSuffix("/chat/completions") {
            return send(context, head, .ok, FastAnswer.body(isStream: FastAnswer.asksForStream(body)), FastAnswer.headers(body))
        }
        if head.method == .POST, let route = SimulatedFamily.route(path) { return answer(context, head, route) }
        if let route = Self.responsesPath(path) {
            return responses(context, head, route.rest, isStateful: route.isStateful, query: query)
        }
        let isOpenRouter = path.hasPrefix("/api/v1/")
        let tail =
            isOpenRouter ? String(path.dropFirst("/api/v1".count)) : path.hasPrefix("/v1/") ? String(path.dropFirst("/v1".count)) : path
        if !isOpenRouter, batches(context, head, tail, query) { return }
        switch (head.method, tail) {
        case (.POST, "/chat/completions"): answer(context, head, .chat, isOpenRouter)
        case (.POST, "/completions"): answer(context, head, .completions, isOpenRouter)
        case (.POST, "/embeddings"): answer(context, head, .embeddings, isOpenRouter)
        case (.POST, "/images/generations"): answer(context, head, .images, isOpenRouter)
        case (.POST, "/images/edits"): answer(context, head, .imageEdits, isOpenRouter)
        case (.POST, "/audio/translations"): answer(context, head, .translations, isOpenRouter)
        case (.POST, "/audio/speech"): answer(context, head, .speech, isOpenRouter)
        case (.POST, "/audio/transcriptions"): answer(context, head, .transcriptions, isOpenRouter)
        case (.POST, "/moderations"): answer(context, head, .moderations, isOpenRouter)
        case (.POST, "/rerank"): answer(context, head, .rerank, isOpenRouter)
        case (.GET, "/models") where isOpenRouter: json(context, head, .ok, simulator.listedModels.answer)
        case (.POST, "/_sim/models"): replaceModels(context, head)
        case (.GET, "/models"):
            json(
                context, head, .ok,
                [
                    "object": "list",
                    "data": [["id": "demo/echo", "object": "model", "created": .number("1700000000"), "owned_by": "simulator"]],
                ])
        case (.GET, "/generation"): generation(context, head, query)
        case (.GET, "/activity"): activity(context, head)
        case (.GET, "/credits"): json(context, head, .ok, ["data": ["total_credits": .number("100"), "total_usage": .number("1.5")]])
        case (.GET, "/key"):
            json(context, head, .ok, ["data": ["label": "sim", "limit": .null, "usage": .number("1.5"), "is_free_tier": false]])
        case (.GET, "/_sim/record"):
            let lines = simulator.record.rows().map { $0.json.text + "\n" }.joined()
            send(context, head, .ok, ByteBuffer(string: lines), [("Content-Type", "application/x-ndjson")])
        case (.GET, "/_sim/statistics"):
            let statistics = simulator.statistics
            json(
                context, head, .ok,
                [
                    "open_connections": .integer(statistics.openConnections), "connections": .integer(statistics.connections),
                    "clients_gone": .integer(statistics.clientsGone),
                ])
        case (.POST, "/_sim/reset"):
            simulator.reset()
            json(context, head, .ok, ["ok": true])
        case (.POST, "/_sim/script"): addScript(context, head)
        default: json(context, head, .notFound, ["error": ["message": .string("no such path: \(path)"), "code": "not_found"]])
        }
    }

    private func generation(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ query: String) {
        let id = query.split(separator: "&").first { $0.hasPrefix("id=") }.map { String($0.dropFirst(3)) }
        guard let row = simulator.record.rows().last(where: { $0.generationID == id }) else {
            return json(context, head, .notFound, ["error": ["code": .number("404"), "message": "generation not found"]])
        }
        json(
            context, head, .ok,
            [
                "data": [
                    "id": .string(row.generationID), "model": .string(row.model), "total_cost": .number(row.cost ?? "0"),
                    "native_tokens_prompt": .integer(row.promptTokens),
                    "native_tokens_completion": .integer(row.completionTokens),
                    "native_tokens_reasoning": .integer(row.reasoningTokens),
                    "native_tokens_cached": .integer(row.cachedTokens), "cancelled": .boolean(row.outcome == "client_gone"),
                    "streamed": .boolean(row.isStream),
                ]
            ])
    }

    /// OpenRouter's cost report by day and model.
    private func activity(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let rows = simulator.record.rows().filter { $0.cost != nil && $0.promptTokens > 0 }.map { row -> JSONValue in
            .object([
                .init("date", .string(CalendarDate(unixSeconds: row.createdAt).description)), .init("model", .string(row.model)),
                .init("usage", .number(row.cost ?? "0")), .init("requests", .integer(1)),
            ])
        }
        json(context, head, .ok, ["data": .array(rows)])
    }

    private func replaceModels(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        guard let value = try? JSONValue(parsing: body), value["data"]?.arrayValue != nil else {
            return json(context, head, .badRequest, ["error": "expected {\"data\": [models in OpenRouter's shape]}"])
        }
        simulator.listedModels.set(value)
        json(context, head, .ok, ["ok": true])
    }

    private func addScript(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        guard let value = try? JSONValue(parsing: body), let steps = value["controls"]?.arrayValue?.compactMap(\.stringValue)
        else { return json(context, head, .badRequest, ["error": "expected {\"model\", \"controls\": [\"…\"], \"key\"?, \"repeat\"?}"]) }
        simulator.script.add(
            model: value["model"]?.stringValue ?? "*", key: value["key"]?.stringValue, steps: steps,
            repeatsLast: value["repeat"]?.boolValue ?? false)
        json(context, head, .ok, ["ok": true])
    }

    // MARK: Model answers

    private func answer(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ endpoint: Endpoint, _ isOpenRouter: Bool) {
        let parsed =
            endpoint.takesForm
            ? FormRequest.json(body, contentType: head.headers.first(name: "content-type")) : try? JSONValue(parsing: body)
        guard let request = parsed, let asked = request["model"]?.stringValue else {
            return json(
                context, head, .badRequest,
                ["error": ["message": "the body is not a JSON object with a model", "type": "invalid_request_error"]])
        }
        let key = head.headers.first(name: "authorization").map { String($0.dropFirst("Bearer ".count)) }
        let parts = asked.split(separator: "@", maxSplits: 1)
        let model = String(parts.first ?? "")
        var controls = Controls()
        do throws(Controls.Unknown) {
            if let scripted = simulator.script.take(model: model, key: key) { try controls.add(scripted) }
            if parts.count > 1 { try controls.add(parts[1]) }
            if let header = head.headers.first(name: "x-sim-control") { try controls.add(header) }
            if let field = request["sim_control"]?.stringValue { try controls.add(field) }
        } catch {
            return json(
                context, head, .badRequest,
                [
                    "error": [
                        "message": .string(
                            "unknown controls: \(error.names.joined(separator: ", ")); known: \(Controls.known.sorted().joined(separator: ", "))"
                        ), "type": "invalid_request_error",
                    ]
                ])
        }
        if controls.has("strict"), endpoint == .chat {
            let rules: VendorRules = isOpenRouter ? .openRouterChat : .openAIChat
            if let reason = rules.refusal(of: request) { controls.refuse(reason) }
        }
        let id = (isOpenRouter ? "gen-" : "chatcmpl-") + "\(simulator.record.count + 1)-\(UInt32.random(in: 0 ... .max))"
        let echo = EchoAnswer(request: request, model: asked, endpoint: endpoint, controls: controls)
        let shapes = Shapes(isOpenRouter: isOpenRouter, endpoint: endpoint, id: id, answer: echo, controls: controls)
        var row = BillingRow()
        row.generationID = id
        row.key = String((key ?? "").suffix(4))
        row.model = asked
        row.endpoint = endpoint.rawValue
        row.isStream = request["stream"]?.boolValue ?? false
        row.promptTokens = echo.promptTokens
        row.cachedTokens = controls.count("cached_tokens") ?? 0
        row.cacheWriteTokens = controls.count("cache_write_tokens") ?? 0
        // Hidden reasoning is added while it takes place.
        row.reasoningTokens = (shapes.reasoningTokens ?? 0) - controls.thinkTokens
        row.cost = isOpenRouter ? controls.text("cost") ?? "0.00042" : controls.text("cost")
        row.requestID = head.headers.first(name: "x-request-id")
        let exchange = Exchange(
            head: head, shapes: shapes, row: row,
            wantsUsage: request["stream_options"]?["include_usage"]?.boolValue ?? false,
            media: MediaAnswer.answers(endpoint)
                ? MediaAnswer(endpoint: endpoint, request: request, controls: controls, model: asked, promptTokens: echo.promptTokens) : nil
        )
        delayed(context, controls.duration("first_byte"), row) { self.begin(context, exchange) }
    }

    struct Exchange {
        var head: HTTPRequestHead
        var shapes: Shapes
        var row: BillingRow
        var wantsUsage: Bool
        var media: MediaAnswer?
    }

    private func delayed(_ context: ChannelHandlerContext, _ delay: Duration?, _ row: BillingRow, _ action: @escaping () -> Void) {
        guard let delay else { return action() }
        pendingRow = row
        // Runs on this handler's own event loop.
        let bound = NIOLoopBound(action, eventLoop: context.eventLoop)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: TimeAmount(delay)) {
            guard channel.isActive else { return }
            bound.value()
        }
    }

    private func begin(_ context: ChannelHandlerContext, _ exchange: Exchange) {
        pendingRow = nil
        let controls = exchange.shapes.controls
        var failed = exchange.row
        failed.outcome = controls.fault ?? ""
        failed.promptTokens = 0
        if controls.has("reset_before_head") {
            simulator.record.append(failed)
            return Self.reset(context)
        }
        if controls.has("close_before_head") {
            simulator.record.append(failed)
            return context.close(promise: nil)
        }
        if controls.has("stall_before_head") {
            pendingRow = failed
            return
        }
        if let status = controls.number("status") {
            simulator.record.append(failed)
            return refuse(context, exchange, status)
        }
        if let target = controls.text("redirect") {
            simulator.record.append(failed)
            return send(context, exchange.head, .found, ByteBuffer(), [("Location", target)])
        }
        if controls.has("body_error") {
            simulator.record.append(failed)
            return json(
                context, exchange.head, .ok,
                .object([.init("error", exchange.shapes.errorObject(status: 502, fallback: "the host failed"))]))
        }
        if let answer = exchange.media { return media(context, exchange, answer) }
        exchange.row.isStream ? stream(context, exchange) : whole(context, exchange)
    }

    private func refuse(_ context: ChannelHandlerContext, _ exchange: Exchange, _ status: Int) {
        var headers: [(String, String)] = [("Content-Type", "application/json")]
        if let seconds = exchange.shapes.controls.text("retry_after") { headers.append(("Retry-After", seconds)) }
        let error = exchange.shapes.errorObject(status: status, fallback: "simulated \(status)")
        send(
            context, exchange.head, HTTPResponseStatus(statusCode: status),
            ByteBuffer(string: JSONValue.object([.init("error", error)]).text), headers)
    }

    private func whole(_ context: ChannelHandlerContext, _ exchange: Exchange) {
        let controls = exchange.shapes.controls
        var row = exchange.row
        row.completionTokens = (controls.count("completion_tokens") ?? exchange.shapes.completionTokens) + controls.thinkTokens
        row.reasoningTokens += controls.thinkTokens
        if case .embeddings = exchange.shapes.answer.content { row.completionTokens = 0 }
        row.usageSent = !controls.has("no_usage")
        row.outcome = controls.fault ?? "completed"
        var bytes = ByteBuffer(string: exchange.shapes.whole().text)
        var headers = answerHeaders(exchange, type: "application/json")
        if controls.has("gzip") {
            bytes = Gzip.stored(bytes)
            headers.append(("Content-Encoding", "gzip"))
        }
        simulator.record.append(row)
        send(context, exchange.head, .ok, bytes, headers)
    }

    private func answerHeaders(_ exchange: Exchange, type: String) -> [(String, String)] {
        var headers: [(String, String)] = []
        if !exchange.shapes.controls.has("content_type_none") { headers.append(("Content-Type", type)) }
        if exchange.shapes.isOpenRouter { headers.append(("X-Generation-Id", exchange.shapes.id)) }
        for number in 0..<(exchange.shapes.controls.number("big_headers") ?? 0) {
            headers.append(("X-Filler-\(number)", String(repeating: "f", count: 1_000)))
        }
        return headers
    }

    private func stream(_ context: ChannelHandlerContext, _ exchange: Exchange) {
        let plan = StreamPlan(
            shapes: exchange.shapes, wantsUsage: exchange.wantsUsage, defaultPace: simulator.configuration.defaultPace)
        stream(
            context, exchange.head, plan, exchange.row, exchange.shapes.controls,
            headers: answerHeaders(exchange, type: "text/event-stream"))
    }

    func stream(
        _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ plan: StreamPlan, _ row: BillingRow, _ controls: Controls,
        headers fields: [(String, String)] = [("Content-Type", "text/event-stream")]
    ) {
        var headers = HTTPHeaders(fields)
        headers.add(name: "Transfer-Encoding", value: "chunked")
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: .ok, headers: headers))), promise: nil)
        start(StreamRun(steps: plan.steps, row: row, controls: controls, simulator: simulator, context: context))
    }

    func start(_ run: StreamRun) {
        run.onEnd = { [weak self] in self?.run = nil }
        self.run = run
        run.resume()
    }

    // MARK: Plain answers

    func json(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ status: HTTPResponseStatus, _ value: JSONValue) {
        send(context, head, status, ByteBuffer(string: value.text), [("Content-Type", "application/json")])
    }

    func send(
        _ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ status: HTTPResponseStatus, _ body: ByteBuffer,
        _ headers: [(String, String)]
    ) {
        var fields = HTTPHeaders(headers)
        fields.add(name: "Content-Length", value: String(body.readableBytes))
        if !head.isKeepAlive { fields.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(HTTPResponseHead(version: head.version, status: status, headers: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let isKeepAlive = head.isKeepAlive
        let done = context.eventLoop.makePromise(of: Void.self)
        let channel = context.channel
        done.futureResult.whenComplete { _ in if !isKeepAlive { channel.close(promise: nil) } }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: done)
    }

    /// Closes with RST: the kernel discards unsent data.
    static func reset(_ context: ChannelHandlerContext) {
        let channel = context.channel
        guard let options = channel as? any SocketOptionProvider else { return context.close(promise: nil) }
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in channel.close(promise: nil) }
    }
}
