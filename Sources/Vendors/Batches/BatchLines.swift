package import NIOCore
package import RouterCore

/// Reads the lines of a batch's files with the reader of the model's answers: what they have used, and what the client sees of them.
package struct BatchLines: Sendable {
    private let call: UpstreamCall
    private let provider: any Provider

    /// Bytes of a line: a line of embeddings for two thousand texts has tens of millions.
    package static let largestLine = 64 << 20

    /// - Parameter quote: with the prices of a batch.
    package init(_ place: BatchPlace, model: String, upstreamModel: String, endpoint: Endpoint, quote: PriceQuote) throws(UpstreamFailure) {
        // Answers are read like those of a request of which nothing but the model is known.
        let part: JSONValue.Member =
            switch endpoint {
            case .chat: .init("messages", .array([]))
            case .completions: .init("prompt", "")
            default: .init("input", "")
            }
        let body = JSONValue.object([.init("model", .string(model)), part])
        do throws(RequestEnvelope.Rejection) {
            call = UpstreamCall(
                envelope: try RequestEnvelope(body: ByteBuffer(string: body.text), endpoint: endpoint), channel: place.channel, key: nil,
                model: model, upstreamModel: upstreamModel, quote: quote)
        } catch {
            throw UpstreamFailure(source: .gateway, kind: .server, detail: error.message)
        }
        provider = place.provider
    }

    /// The content of one line of an output file.
    package enum Line: Sendable {
        /// An answer. - Parameter usage: nil where the vendor tells none.
        case answer(WholeAnswer, usage: Usage?)
        /// A line that is not billed: the vendor's error, or an answer that is one.
        case failure
        /// No line of an output file.
        case unreadable
    }

    /// https://platform.openai.com/docs/api-reference/batch/request-output
    package func read(_ line: ByteBuffer) -> Line {
        guard let (status, body) = Self.response(line) else { return .unreadable }
        guard (200..<300).contains(status), let body, let slice = line.getSlice(at: line.readerIndex + body.lowerBound, length: body.count)
        else { return .failure }
        do throws(UpstreamFailure) {
            let answer = try provider.decode(slice, for: call)
            return .answer(answer, usage: answer.progress.usage)
        } catch {
            return error.kind == .malformed ? .unreadable : .failure
        }
    }

    /// The line as the client gets it: with the public name of the model, and with what the answer costs.
    package func forClient(_ line: ByteBuffer) -> ByteBuffer {
        var splice = BodySplice()
        if let range = Self.response(line)?.body, case .answer(let answer, _) = read(line) {
            splice.replace(range, with: answer.body)
        } else if call.model != call.upstreamModel, let range = Self.model(line) {
            splice.replace(range, with: JSONValue.string(call.model).text)
        }
        return splice.applied(to: line)
    }

    /// Status and body of `response`; nil for a line without one. A line whose `response` is null is an error line.
    private static func response(_ line: ByteBuffer) -> (status: Int, body: Range<Int>?)? {
        let bytes = line.readableBytesUInt8Span
        guard (try? JSONScanner.validate(bytes)) != nil else { return nil }
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard let response = JSONPath.member("response", of: start, bytes) else { return nil }
        guard response.kind == .object else { return (0, nil) }
        guard let code = JSONPath.member("status_code", of: response.value.lowerBound, bytes), code.kind == .number,
            let status = JSONText.integer(bytes, code.value)
        else { return nil }
        guard let body = JSONPath.member("body", of: response.value.lowerBound, bytes), body.kind == .object else {
            return (Int(status), nil)
        }
        return (Int(status), body.value)
    }

    /// Where the model's name stands in a line of an input file.
    private static func model(_ line: ByteBuffer) -> Range<Int>? {
        let bytes = line.readableBytesUInt8Span
        guard (try? JSONScanner.validate(bytes)) != nil else { return nil }
        var start = 0
        JSONScanner.skipWhitespace(bytes, &start)
        guard let body = JSONPath.member("body", of: start, bytes), body.kind == .object,
            let model = JSONPath.member("model", of: body.value.lowerBound, bytes), model.kind == .string
        else { return nil }
        return model.value
    }
}
