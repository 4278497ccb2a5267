public import NIOCore

extension RequestEnvelope {
    /// Reads a form: one of its fields is the model, another the audio. - Throws: ``Rejection``.
    public init(form body: ByteBuffer, contentType: String?, endpoint: Endpoint) throws(Rejection) {
        guard let contentType, contentType.lowercased().contains("multipart/form-data") else {
            throw Rejection("the request must be multipart/form-data, not \(contentType.map { "'\($0)'" } ?? "without a Content-Type")")
        }
        guard let boundary = MultipartForm.boundary(contentType: contentType) else {
            throw Rejection("Content-Type multipart/form-data must name a boundary")
        }
        if body.readableBytes == 0 { throw Rejection("the request body is empty; a form is expected") }
        let form = try MultipartForm(body, boundary: boundary)
        self.body = body
        self.endpoint = endpoint
        members = []
        media.form = form
        model = try Self.field("model", form, body) ?? ""
        guard !form.all("model").isEmpty else { throw Rejection("you must provide a model parameter", param: "model") }
        if let problem = ModelName.problem(model) { throw Rejection("'model' \(problem)", param: "model") }
        switch try Self.field("stream", form, body)?.lowercased() {
        case "true", "1": isStream = true
        case "false", "0", "", nil: isStream = false
        default: throw Rejection("'stream' must be true or false", param: "stream")
        }
        media.format = try Self.field("response_format", form, body)
        let files = form.all("file")
        guard let file = files.first else { throw Rejection("you must provide a file to transcribe", param: "file") }
        guard files.count == 1 else { throw Rejection("field 'file' is given twice", param: "file") }
        guard file.fileName != nil else { throw Rejection("'file' must be a file with a filename, not a plain field", param: "file") }
        let start = body.readerIndex + file.value.lowerBound
        guard !file.value.isEmpty, let head = body.getSlice(at: start, length: min(file.value.count, 64)) else {
            throw Rejection("the uploaded file is empty", param: "file")
        }
        let audio = AudioLength(bytes: Int64(file.value.count), head: head)
        media.audio = audio
        let words = Int64(form.all("prompt").reduce(0) { $0 + $1.value.count })
        prompt.tokens = (words + 3) / 4 + MediaEstimate.audioTokens(milliseconds: audio.milliseconds)
        prompt.upperBound = words + MediaEstimate.audioTokens(milliseconds: audio.upperBound)
    }

    /// The text of a plain field; nil when the form has no such field.
    private static func field(_ name: String, _ form: MultipartForm, _ body: ByteBuffer) throws(Rejection) -> String? {
        let parts = form.all(name)
        guard let part = parts.first else { return nil }
        guard parts.count == 1 else { throw Rejection("field '\(name)' is given twice", param: name) }
        guard part.fileName == nil else { throw Rejection("'\(name)' must be a plain field, not a file", param: name) }
        guard part.value.count <= 1_024 else { throw Rejection("'\(name)' is too long", param: name) }
        return body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count)
    }
}
