import HTTPTypes
import NIOCore
import RouterCore

/// The part of an upstream request that is the same in every family: static headers and the credential. Nothing of the client's own headers
/// ever gets here.
struct Preparation {
    let spec: ProviderSpec

    /// The JSON call for a client's request. - Parameter path: behind the base URL.
    func post(
        _ call: UpstreamCall, path: String, body: ByteBuffer, headers extra: [(String, String)] = []
    ) throws(UpstreamFailure) -> UpstreamRequest {
        var headers = HTTPFields()
        headers[.contentType] = "application/json"
        headers[.accept] = call.envelope.isStream ? "text/event-stream" : "application/json"
        var request = UpstreamRequest(url: call.baseURL + path, headers: headers, body: body)
        for (name, value) in extra { try set(name, to: value, in: &request) }
        return try prepared(request, key: call.key, extraHeaders: call.channel.headers)
    }

    /// The same for a body that was converted.
    func post(
        _ call: UpstreamCall, path: String, body: ConvertedBody, headers extra: [(String, String)] = []
    ) throws(UpstreamFailure) -> UpstreamRequest {
        var request = try post(call, path: path, body: body.bytes, headers: extra)
        request.droppedFields = body.dropped
        return request
    }

    func prepared(
        _ request: UpstreamRequest, key: Secret?, extraHeaders: [StaticHeader]
    ) throws(UpstreamFailure) -> UpstreamRequest {
        var request = request
        for header in spec.headers + extraHeaders { try set(header.name, to: header.value.reveal(), in: &request) }
        guard let key else { return request }
        switch spec.auth {
        case .bearer: try set("Authorization", to: "Bearer " + key.reveal(), in: &request)
        case .header(let name, let prefix): try set(name, to: prefix + key.reveal(), in: &request)
        case .query(let name):
            let separator = request.url.contains("?") ? "&" : "?"
            request.url += separator + PercentEncoding.query(name) + "=" + PercentEncoding.query(key.reveal())
        case .none: break
        }
        return request
    }

    /// The configuration has checked names and values; what slipped through would be altered silently by `HTTPFields`, so it is refused.
    private func set(_ name: String, to value: String, in request: inout UpstreamRequest) throws(UpstreamFailure) {
        guard let field = name == "Authorization" ? HTTPField.Name.authorization : HTTPField.Name(name), HTTPField.isValidValue(value)
        else {
            throw UpstreamFailure(
                source: .gateway, kind: .server, detail: "header '\(name)' of provider '\(spec.name)' is not fit for HTTP")
        }
        request.headers[field] = value
    }

    /// A path with the model's name in place of `{model}`.
    static func path(_ template: String, model: String) throws(UpstreamFailure) -> String {
        // Most have none, and a look for one byte is cheap.
        guard template.utf8.contains(0x7B), let range = template.firstRange(of: "{model}") else { return template }
        guard ModelName.isSafeInPath(model) else {
            throw UpstreamFailure(
                source: .gateway, kind: .modelUnavailable, detail: "the model name '\(model)' is not fit for a URL")
        }
        return String(template[..<range.lowerBound]) + model + String(template[range.upperBound...])
    }

    static func bytes(_ value: JSONValue) -> ByteBuffer {
        var body = ByteBuffer()
        value.write(to: &body)
        return body
    }

    /// A whole answer as a tree. - Throws: `.malformed`.
    static func tree(_ body: ByteBuffer) throws(UpstreamFailure) -> JSONValue {
        do throws(JSONScanError) {
            let tree = try JSONValue(parsing: body)
            guard case .object = tree else { throw JSONScanError(.notAnObject, at: 0) }
            return tree
        } catch {
            throw UpstreamFailure(kind: .malformed, detail: "the answer is no JSON object: \(error)")
        }
    }
}
