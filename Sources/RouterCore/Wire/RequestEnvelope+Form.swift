public import NIOCore

extension RequestEnvelope {
    /// Reads a form: one of its fields is the model, others are files. - Throws: ``Rejection``.
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
        model = try field("model", form) ?? ""
        guard !form.all("model").isEmpty else { throw Rejection("you must provide a model parameter", param: "model") }
        if let problem = ModelName.problem(model) { throw Rejection("'model' \(problem)", param: "model") }
        switch try field("stream", form)?.lowercased() {
        case "true", "1": isStream = true
        case "false", "0", "", nil: isStream = false
        default: throw Rejection("'stream' must be true or false", param: "stream")
        }
        try endpoint.operation.read(form, &self)
    }

    /// The text of a plain field; nil when the form has no such field.
    func field(_ name: String, _ form: MultipartForm) throws(Rejection) -> String? {
        let parts = form.all(name)
        guard let part = parts.first else { return nil }
        guard parts.count == 1 else { throw Rejection("field '\(name)' is given twice", param: name) }
        guard part.fileName == nil else { throw Rejection("'\(name)' must be a plain field, not a file", param: name) }
        guard part.value.count <= 1_024 else { throw Rejection("'\(name)' is too long", param: name) }
        return body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count)
    }

    /// A whole number in a plain field; nil when the form has no such field, or an empty one.
    func number(_ name: String, _ form: MultipartForm, _ range: ClosedRange<Int64>) throws(Rejection) -> Int64? {
        guard let text = try field(name, form), !text.isEmpty else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            throw Rejection("'\(name)' must be a whole number from \(range.lowerBound) to \(range.upperBound)", param: name)
        }
        return value
    }
}
