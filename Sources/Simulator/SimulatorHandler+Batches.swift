import NIOCore
import NIOHTTP1
import RouterCore

/// Files and batches as OpenAI has them, under `/v1`. Controls come from a script for the model `batches`, or from the header.
extension SimulatorHandler {
    /// - Returns: false for a path that is no such call.
    func batches(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ tail: String, _ query: String) -> Bool {
        let parts = tail.split(separator: "/").map(String.init)
        guard let area = parts.first, area == "files" || area == "batches", parts.count <= 3 else { return false }
        let key = head.headers.first(name: "authorization").map { String($0.dropFirst("Bearer ".count)) } ?? ""
        let id = parts.count > 1 ? parts[1] : nil
        switch (head.method, area, id, parts.count > 2 ? parts[2] : nil) {
        case (.POST, "files", nil, nil): upload(context, head, key)
        case (.GET, "files", let id?, nil):
            found(context, head, simulator.batches.file(id, key: key)?.json)
        case (.GET, "files", let id?, "content"): content(context, head, id, key)
        case (.DELETE, "files", let id?, nil):
            let isGone = simulator.batches.remove(file: id, key: key)
            found(context, head, isGone ? ["id": .string(id), "object": "file", "deleted": true] : nil)
        case (.POST, "batches", nil, nil): create(context, head, key)
        case (.GET, "batches", nil, nil): list(context, head, key, query)
        case (.GET, "batches", let id?, nil):
            guard !isBroken(context, head) else { return true }
            found(context, head, simulator.batches.ask(id, key: key) { work($0, $1, key) }?.json)
        case (.POST, "batches", let id?, "cancel"):
            found(context, head, simulator.batches.ask(id, key: key, cancel: true) { work($0, $1, key) }?.json)
        default: return false
        }
        return true
    }

    private func found(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ object: JSONValue?) {
        guard let object else {
            return json(
                context, head, .notFound,
                ["error": ["message": "no such object", "type": "invalid_request_error", "param": "id", "code": .null]])
        }
        json(context, head, .ok, object)
    }

    private func controls(_ head: HTTPRequestHead) -> Controls {
        var controls = Controls()
        if let scripted = simulator.script.take(model: "batches", key: nil) { try? controls.add(scripted) }
        if let header = head.headers.first(name: "x-sim-control") { try? controls.add(header) }
        return controls
    }

    /// An answer about a batch that fails, from a script for `batches.ask`.
    private func isBroken(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) -> Bool {
        guard let scripted = simulator.script.take(model: "batches.ask", key: nil), let controls = try? Controls(parsing: scripted),
            let status = controls.number("status")
        else { return false }
        json(context, head, HTTPResponseStatus(statusCode: status), ["error": ["message": "simulated"]])
        return true
    }

    private func upload(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ key: String) {
        guard let type = head.headers.first(name: "content-type"), let boundary = MultipartForm.boundary(contentType: type),
            let form = try? MultipartForm(body, boundary: boundary), let part = form.all("file").first,
            let purpose = form.all("purpose").first,
            let contents = body.getSlice(at: body.readerIndex + part.value.lowerBound, length: part.value.count)
        else { return json(context, head, .badRequest, ["error": ["message": "a form with file and purpose is expected"]]) }
        let name = body.getString(at: body.readerIndex + purpose.value.lowerBound, length: purpose.value.count) ?? ""
        json(context, head, .ok, simulator.batches.add(file: contents, name: part.fileName ?? "", purpose: name, key: key).json)
    }

    private func content(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ id: String, _ key: String) {
        guard let file = simulator.batches.file(id, key: key) else { return found(context, head, nil) }
        send(context, head, .ok, file.contents, [("Content-Type", "application/octet-stream")])
    }

    private func list(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ key: String, _ query: String) {
        let all = simulator.batches.batches(key: key)
        let after = query.split(separator: "&").first { $0.hasPrefix("after=") }.map { String($0.dropFirst(6)) }
        let rest = after.flatMap { id in all.firstIndex { $0.id == id }.map { all[($0 + 1)...] } } ?? all[...]
        // Small pages, so that a search has to turn them.
        let page = rest.prefix(2)
        json(
            context, head, .ok,
            ["object": "list", "data": .array(page.map(\.json)), "has_more": .boolean(rest.count > page.count)])
    }

    private func create(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, _ key: String) {
        let controls = controls(head)
        if let status = controls.number("status") {
            return json(
                context, head, HTTPResponseStatus(statusCode: status),
                ["error": ["message": .string("simulated \(status)"), "type": "invalid_request_error", "param": .null, "code": .null]])
        }
        // Nothing is made, and nothing is answered.
        if controls.has("stall_before_head") { return }
        guard let request = try? JSONValue(parsing: body), let batch = simulator.batches.add(request, controls: controls, key: key) else {
            return json(context, head, .badRequest, ["error": ["message": "no such input file"]])
        }
        // It is made, and nothing is answered.
        if controls.has("stall_after_work") { return }
        if controls.has("close_after_work") { return context.close(promise: nil) }
        json(context, head, .ok, batch.json)
    }

    /// Does the lines of a batch that ends. With `lines_done=N` only the first N are done, with `failing_lines=N` the last N of those fail.
    private func work(_ batch: SimulatedBatches.Batch, _ lines: [ByteBuffer], _ key: String) -> (output: [String], errors: [String]) {
        let done = lines.prefix(batch.controls.number("lines_done") ?? (batch.status == "completed" ? lines.count : lines.count / 2))
        let failing = batch.controls.number("failing_lines") ?? 0
        var output: [String] = []
        var errors: [String] = []
        for (index, line) in done.enumerated() {
            guard let value = try? JSONValue(parsing: line), let id = value["custom_id"]?.stringValue, let request = value["body"],
                value["url"]?.stringValue == batch.endpoint
            else {
                errors.append(Self.line("", status: 400, ["error": ["message": "the line is no request"]]))
                continue
            }
            if index >= done.count - failing {
                errors.append(Self.line(id, status: 400, ["error": ["message": "simulated failure", "type": "invalid_request_error"]]))
                continue
            }
            output.append(Self.line(id, status: 200, answer(request, batch, key)))
        }
        return (output, errors)
    }

    private static func line(_ id: String, status: Int, _ body: JSONValue) -> String {
        JSONValue.object([
            .init("id", .string("batch_req_\(UInt32.random(in: 0 ... .max))")), .init("custom_id", .string(id)),
            .init("response", ["status_code": .integer(status), "request_id": "req", "body": body]), .init("error", .null),
        ]).text
    }

    /// The answer to one line, which is billed.
    private func answer(_ request: JSONValue, _ batch: SimulatedBatches.Batch, _ key: String) -> JSONValue {
        let endpoint: Endpoint =
            switch batch.endpoint.split(separator: "/").suffix(2).joined(separator: "/") {
            case "v1/embeddings": .embeddings
            case "v1/completions": .completions
            default: .chat
            }
        let model = request["model"]?.stringValue ?? ""
        let echo = EchoAnswer(request: request, model: model, endpoint: endpoint, controls: batch.controls)
        let id = "chatcmpl-\(simulator.record.count + 1)-\(UInt32.random(in: 0 ... .max))"
        let shapes = Shapes(isOpenRouter: false, endpoint: endpoint, id: id, answer: echo, controls: batch.controls)
        var row = BillingRow()
        row.generationID = id
        row.key = String(key.suffix(4))
        row.model = model
        row.endpoint = "batch"
        row.promptTokens = echo.promptTokens
        row.cachedTokens = batch.controls.count("cached_tokens") ?? 0
        row.completionTokens = batch.controls.count("completion_tokens") ?? shapes.completionTokens
        if endpoint == .embeddings { row.completionTokens = 0 }
        row.usageSent = !batch.controls.has("no_usage")
        row.outcome = "completed"
        row.requestID = batch.id
        simulator.record.append(row)
        return shapes.whole()
    }
}
