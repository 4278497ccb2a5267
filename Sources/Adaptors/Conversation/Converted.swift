import HTTPTypes
import NIOCore
import RouterCore

/// What the families that are reached by conversion do alike; each adds its reader, its writer and its paths.
extension Preparation {
    /// The body in the family's own form for a client's request in any dialect.
    func converted(
        _ call: UpstreamCall, _ write: (Conversation) throws(UpstreamFailure) -> JSONValue
    ) throws(UpstreamFailure) -> ConvertedBody {
        let endpoint = call.envelope.endpoint
        guard endpoint.isConversation else {
            throw UpstreamFailure(source: .gateway, kind: .invalidRequest, detail: "the family does not speak \(endpoint.rawValue)")
        }
        let dropped = DroppedFields(isLenient: call.isLenient)
        let conversation = try ConversationReader.read(call, drop: spec.request.drop, noting: dropped)
        do throws(UpstreamFailure) {
            return ConvertedBody(bytes: Self.bytes(try write(conversation)), dropped: dropped.names)
        } catch {
            throw error.named(endpoint.dialect.client.fieldName)
        }
    }

    /// The vendor's list of models. - Parameter path: the family's, where the file names none.
    func list(_ path: String, baseURL: String?, key: Secret?, headers extra: [(String, String)] = []) -> UpstreamRequest? {
        var headers = HTTPFields()
        headers[.accept] = "application/json"
        for (name, value) in extra {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        let path = spec.endpoints[.models].flatMap { $0 } ?? path
        let request = UpstreamRequest(method: .get, url: (baseURL ?? spec.baseURL) + path, headers: headers)
        return try? prepared(request, key: key, extraHeaders: [])
    }
}

extension WholeAnswer {
    /// In the client's dialect.
    init(_ answer: Answer, for call: UpstreamCall) {
        var progress = AnswerProgress()
        progress.absorb(answer)
        progress.isDone = true
        var body = ByteBuffer()
        call.envelope.endpoint.dialect.client.answer(answer, DialectContext(call)).write(to: &body)
        self.init(body: body, progress: progress)
    }
}

extension FamilyStreamDecoder {
    /// Into the client's dialect.
    init(
        _ reader: any AnswerEventReader, for call: UpstreamCall, mayLackMarker: Bool, failure: @escaping FailureFinder
    ) {
        let writer = call.envelope.endpoint.dialect.client.writer(DialectContext(call))
        self.init(reader: reader, mode: .convert(writer), mayLackMarker: mayLackMarker, failure: failure)
    }
}

extension UpstreamFailure {
    /// The same with the field under the name that the client knows.
    func named(_ name: (String) -> String) -> UpstreamFailure {
        guard source == .gateway, let field = clientError?.param else { return self }
        let new = name(field)
        guard new != field else { return self }
        var result = self
        let message = detail.hasPrefix("'\(field)'") ? "'\(new)'" + detail.dropFirst(field.count + 2) : detail
        result.detail = message
        result.clientError?.message = message
        result.clientError?.param = new
        return result
    }
}
