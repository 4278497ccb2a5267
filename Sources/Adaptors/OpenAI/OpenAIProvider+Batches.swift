import HTTPTypes
import NIOCore
public import RouterCore

/// Files and batches (https://platform.openai.com/docs/api-reference/files, https://platform.openai.com/docs/api-reference/batch).
extension OpenAIProvider {
    public var batchURLs: [Endpoint: String] {
        guard let batches = spec.batches else { return [:] }
        let urls = batches.urls ?? variant.batches.urls ?? [:]
        // Answers of other endpoints are converted, and the lines of a batch are not.
        return urls.filter { spec.endpoints.keys.contains($0.key) && paths.keys.contains($0.key) }
    }

    public func call(_ batch: BatchCall, channel: RouterCore.Channel, key: Secret?) -> UpstreamRequest? {
        guard let support = spec.batches, let files = support.files ?? variant.batches.files,
            let batches = support.batches ?? variant.batches.batches
        else { return nil }
        var method = HTTPRequest.Method.get
        var body: ByteBuffer?
        var type = "application/json"
        let path: String?
        switch batch {
        case .upload(let form, let boundary):
            (method, body, type, path) = (.post, form, "multipart/form-data; boundary=\(boundary)", files)
        case .file(let id): path = Self.path(files, id)
        case .content(let id): path = Self.path(files, id, "/content")
        case .deleteFile(let id): (method, path) = (.delete, Self.path(files, id))
        case .create(let json): (method, body, path) = (.post, json, batches)
        case .batch(let id): path = Self.path(batches, id)
        // An empty object: some servers refuse a POST without a body.
        case .cancel(let id): (method, body, path) = (.post, ByteBuffer(string: "{}"), Self.path(batches, id, "/cancel"))
        case .list(let after):
            let page = batches + (batches.contains("?") ? "&" : "?") + "limit=100"
            if let after { path = OpenAIDialect.isGenerationID(after) ? page + "&after=" + after : nil } else { path = page }
        }
        guard let path else { return nil }
        var headers = HTTPFields()
        // The content of a file is no JSON.
        headers[.accept] = "*/*"
        if body != nil { headers[.contentType] = type }
        let request = UpstreamRequest(
            method: method, url: (channel.baseURL ?? channel.provider.baseURL) + path, headers: headers, body: body)
        return try? Preparation(spec: spec).prepared(request, key: key, extraHeaders: channel.headers)
    }

    /// A member of a collection: its id stands before the query. - Returns: nil for an id that is not fit for a URL.
    private static func path(_ collection: String, _ id: String, _ action: String = "") -> String? {
        guard OpenAIDialect.isGenerationID(id) else { return nil }
        guard let mark = collection.firstIndex(of: "?") else { return collection + "/" + id + action }
        return collection[..<mark] + "/" + id + action + collection[mark...]
    }
}
