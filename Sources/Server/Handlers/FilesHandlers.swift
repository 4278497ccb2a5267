import Config
import Gateway
import GatewayState
import HTTPTypes
import Hummingbird
import Metering
import NIOCore
import Platform
import RouterCore
import Storage
import Vendors

/// `/v1/files` (https://platform.openai.com/docs/api-reference/files): input files of batches, which are read and go to the channel
/// that will do the work, and the files that batches make.
struct FilesHandlers: Sendable {
    let desk: BatchDesk
    let health: HealthRegistry
    let meter: Meter

    /// Files of a user: each is a row here and a file at a vendor.
    private static let maximumFiles: Int64 = 1_000
    private static let fields: Set<String> = ["file", "purpose"]

    // MARK: Upload

    func upload(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let principal = try ModelsHandlers.principal(context)
        guard let type = request.headers[.contentType], let boundary = MultipartForm.boundary(contentType: type) else {
            throw APIError.badRequest("the body must be multipart/form-data with a boundary", param: nil)
        }
        let (file, name) = try Self.form(try await BatchDesk.body(request), boundary)
        guard try await desk.store.countVendorObjects(.file, userID: principal.userID) < Self.maximumFiles else {
            throw APIError.batchNotPossible("this account has \(Self.maximumFiles) files; delete some", code: "too_many_files")
        }
        let input: BatchInput
        do throws(BatchInput.Problem) {
            input = try await BatchInput(file, for: principal, snapshot: desk.snapshots.snapshot, health: health)
        } catch {
            throw APIError(error)
        }
        try await checkBalance(input, principal)
        let made: JSONValue
        do throws(UpstreamFailure) {
            made = try await desk.vendor(input.place).object(Self.form(input.file), within: .seconds(600))
        } catch {
            throw APIError(error)
        }
        guard let id = made["id"]?.stringValue, Self.isPlain(id) else {
            throw APIError.upstream(status: .badGateway, message: "the upstream gave the file no usable id", retryAfter: nil)
        }
        let now = desk.clock.unixSeconds
        let object = Self.object(made, name: name, bytes: file.readableBytes)
        let channel = input.place.channel.value
        do {
            try await desk.store.addVendorObject(
                VendorObject(
                    kind: .file, id: id, userID: principal.userID, channelID: channel.id, keyMark: input.place.keyMark,
                    provider: channel.provider.name, model: input.model, upstreamModel: input.upstreamModel, endpoint: input.endpoint,
                    purpose: "batch", object: object.text, detail: JSONValue.object([.init("summary", input.summary.json)]).text,
                    createdAt: now))
        } catch StoreError.duplicate {
            throw APIError.upstream(status: .badGateway, message: "the upstream gave the file an id that is taken", retryAfter: nil)
        }
        return ModelsHandlers.answer(object)
    }

    /// Files lie in the operator's account at the vendor: whoever could not pay for their work has none kept there.
    /// - Throws: 402 when the balance does not cover the worst case of the file's batch.
    private func checkBalance(_ input: BatchInput, _ principal: KeyPrincipal) async throws {
        let snapshot = desk.snapshots.snapshot
        let metering = snapshot.configuration.metering
        let offer = snapshot.offer(
            input.place.channel.value, model: input.model, upstream: input.upstreamModel, group: principal.group)
        // A batch without a price, or of an inexpressible one, is refused when it is made.
        guard metering.admission != .off, var quote = offer?.quote, let price = quote.price.ofBatch else { return }
        quote.price = price
        guard let needed = try? quote.worstCase(of: input.summary), let standing = try await meter.standing(principal.payer),
            let left = try? standing.available.subtracting(metering.overdraftFloor), left < needed
        else { return }
        throw APIError.insufficientBalance(needed: needed, available: standing.available)
    }

    /// The contents and the name of the file in a form.
    private static func form(_ body: ByteBuffer, _ boundary: String) throws -> (file: ByteBuffer, name: String) {
        let form: MultipartForm
        do throws(RequestEnvelope.Rejection) {
            form = try MultipartForm(body, boundary: boundary)
        } catch {
            throw APIError.badRequest(error.message, param: error.param)
        }
        if let other = form.parts.first(where: { !fields.contains($0.name) }) {
            throw APIError.badRequest(
                "'\(other.name.prefix(64))' is not supported; allowed: file, purpose", param: String(other.name.prefix(64)))
        }
        func text(_ part: MultipartForm.Part) -> String {
            body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count) ?? ""
        }
        let purposes = form.all("purpose")
        guard purposes.count == 1, text(purposes[0]) == "batch" else {
            throw APIError.badRequest("'purpose' must be batch, given once: other files are not kept here", param: "purpose")
        }
        let files = form.all("file")
        guard files.count == 1,
            let file = body.getSlice(at: body.readerIndex + files[0].value.lowerBound, length: files[0].value.count)
        else { throw APIError.badRequest("'file' must be given, once", param: "file") }
        let name = (files[0].fileName ?? "batch.jsonl").prefix(256)
        return (file, String(name.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }))
    }

    /// The form for the vendor. The name is ours: the client's is kept beside the id.
    private static func form(_ file: ByteBuffer) -> BatchCall {
        let boundary = "apirouter-" + TokenSecrets.random(32)
        var form = ByteBuffer()
        form.reserveCapacity(file.readableBytes + 512)
        form.writeString("--\(boundary)\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n")
        form.writeString(
            "--\(boundary)\r\nContent-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n"
                + "Content-Type: application/jsonl\r\n\r\n"
        )
        form.writeImmutableBuffer(file)
        form.writeString("\r\n--\(boundary)--\r\n")
        return .upload(form: form, boundary: boundary)
    }

    /// Ids are stored, and put into URLs again.
    static func isPlain(_ id: String) -> Bool {
        (1...128).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x5F
            }
    }

    /// The vendor's object with the name and the size of the client's file.
    private static func object(_ vendor: JSONValue, name: String, bytes: Int) -> JSONValue {
        guard case .object(let members) = vendor else { return vendor }
        return .object(
            members.filter { $0.name != "filename" && $0.name != "bytes" } + [
                .init("filename", .string(name)), .init("bytes", .integer(bytes)),
            ])
    }

    // MARK: What is there

    func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let purpose = QueryFields(request, BatchDescriptions.listFiles).text("purpose")
        if let purpose, purpose != "batch", purpose != "batch_output" {
            throw APIError.badRequest("'purpose' must be batch or batch_output", param: "purpose")
        }
        return try await desk.page(.file, request, BatchDescriptions.listFiles, context, standard: 10_000, purpose: purpose)
    }

    func one(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (row, place) = try await desk.object(.file, context.parameters.get("id") ?? "", context)
        let seen = try await desk.ask(.file(id: row.id), row, place)
        let known = BatchDesk.json(row)
        // The client knows an input file by its own name and size; the vendor tells those of an output.
        var object = seen
        if row.purpose == "batch", let name = known["filename"]?.stringValue, let bytes = known["bytes"]?.integerValue {
            object = Self.object(seen, name: name, bytes: Int(bytes))
        }
        if object.text != row.object { try await desk.store.setVendorObject(.file, id: row.id, object: object.text) }
        return ModelsHandlers.answer(object)
    }

    func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (row, place) = try await desk.object(.file, context.parameters.get("id") ?? "", context)
        // The bill of a batch is in its output.
        if let batch = row.requestID, try await desk.store.longHold(batch)?.state == .open {
            throw APIError(
                status: .conflict, type: "invalid_request_error", code: "batch_not_settled", param: "id",
                message: "The batch that made this file has not been settled yet; try again in a minute.")
        }
        do throws(UpstreamFailure) {
            _ = try await desk.vendor(place).object(.deleteFile(id: row.id))
        } catch {
            // One that is gone at the vendor is gone here as well.
            if error.status != 404 { throw APIError(error) }
        }
        try await desk.store.removeVendorObject(.file, id: row.id)
        return ModelsHandlers.answer(["id": .string(row.id), "object": "file", "deleted": true])
    }

    // MARK: Contents

    /// Line by line, with the public name of the model, as it comes from the vendor.
    func content(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let (row, place) = try await desk.object(.file, context.parameters.get("id") ?? "", context)
        let lines: BatchLines
        let body: any UpstreamBody
        let quote = try await quote(row, place)
        do throws(UpstreamFailure) {
            lines = try BatchLines(
                place, model: row.model, upstreamModel: row.upstreamModel, endpoint: row.endpoint, quote: quote)
            body = try await desk.vendor(place).open(.content(id: row.id))
        } catch {
            if error.status == 404 { throw APIError.noSuchObject("file", row.id) }
            throw APIError(error)
        }
        return Response(
            status: .ok, headers: [.contentType: "application/octet-stream"],
            body: ResponseBody { writer in
                var splitter = LineSplitter(maximum: BatchLines.largestLine)
                do {
                    while let bytes = try await body.next() {
                        splitter.push(bytes)
                        while let line = splitter.next() { try await writer.write(Self.line(line, lines, isEnded: true)) }
                        // A file that lacks a line must not look whole.
                        guard splitter.dropped == 0 else { throw TransportFailure(.protocolViolation, "a line is too long") }
                    }
                    if let line = splitter.last() { try await writer.write(Self.line(line, lines, isEnded: false)) }
                } catch {
                    body.cancel()
                    throw error
                }
                try await writer.finish(nil)
            })
    }

    private static func line(_ line: ByteBuffer, _ lines: BatchLines, isEnded: Bool) -> ByteBuffer {
        var out = line.readableBytes == 0 ? line : lines.forClient(line)
        if isEnded { out.writeInteger(UInt8(ascii: "\n")) }
        return out
    }

    /// The prices of the batch that made a file, for the cost in its lines.
    private func quote(_ row: VendorObject, _ place: BatchPlace) async throws -> PriceQuote {
        let free = PriceQuote(price: .free, ratio: .one, version: 0)
        guard let request = row.requestID, let hold = try await desk.store.longHold(request) else { return free }
        let price = try await desk.store.price(version: hold.pricingVersion) ?? place.channel.value.provider.defaultPrice
        return price?.ofBatch.map { PriceQuote(price: $0, ratio: hold.ratio, version: hold.pricingVersion) } ?? free
    }
}
