import NIOCore
import RouterCore

/// A client's form with the few changes that a vendor needs, in one copy at most: without any, the client's own bytes go upstream, the file
/// untouched. The operations of a provider file are those of JSON bodies (``OpenAIRequestBody``), on plain fields.
struct FormRequestBody {
    let call: UpstreamCall
    let rules: RequestRules
    let dialect: OpenAIDialect
    let form: MultipartForm

    private var envelope: RequestEnvelope { call.envelope }

    var contentType: String { "multipart/form-data; boundary=\(quoted(form.boundary))" }

    /// Characters of a boundary that are no token have to be quoted (RFC 2045).
    private func quoted(_ boundary: String) -> String {
        boundary.contains { "()<>@,;:/[]?=".contains($0) } ? "\"\(boundary)\"" : boundary
    }

    func spliced() -> ByteBuffer {
        var splice = BodySplice()
        var names = Set(form.parts.map(\.name))
        let gone = dialect.gatewayFields.union(rules.drop)
        for part in form.parts {
            var name = part.name
            // A file keeps its name and its bytes: only plain fields are renamed.
            for rename in rules.rename where part.fileName == nil && rename.from == name && !names.contains(rename.to) {
                names.remove(name)
                name = rename.to
                names.insert(name)
            }
            let isShadowed = rules.rename.contains { $0.from == name && names.contains($0.to) }
            if gone.contains(name) || isShadowed {
                splice.remove(part.whole)
                names.remove(name)
                continue
            }
            let set = rules.set.last { $0.name == name }
            if name != part.name {
                let body = envelope.body
                let old = body.getString(at: body.readerIndex + part.value.lowerBound, length: part.value.count) ?? ""
                let value = set.map(text) ?? old
                splice.replace(part.whole, with: written(name, value: value, isFirst: part.whole.lowerBound == 0))
            } else if let set {
                replace(part, with: text(set), &splice)
            } else if name == "model", call.upstreamModel != envelope.model {
                replace(part, with: call.upstreamModel, &splice)
            }
        }
        let added =
            rules.set.filter { !names.contains($0.name) }
            + rules.defaults.filter { field in
                !names.contains(field.name) && !rules.set.contains { $0.name == field.name }
            }
        for field in added { splice.insert(written(field.name, value: text(field), isFirst: false), at: form.end) }
        return trimmed(splice.applied(to: envelope.body))
    }

    private func replace(_ part: MultipartForm.Part, with value: String, _ splice: inout BodySplice) {
        // The value of an empty field has no place of its own where its last line end belongs to the next delimiter.
        guard part.value.upperBound > part.whole.upperBound else { return splice.replace(part.value, with: value) }
        splice.replace(part.whole, with: written(part.name, value: value, isFirst: part.whole.lowerBound == 0))
    }

    /// A removed first part leaves the line end before the next delimiter behind.
    private func trimmed(_ body: ByteBuffer) -> ByteBuffer {
        guard body.getInteger(at: body.readerIndex, as: UInt16.self) == 0x0D0A else { return body }
        return body.getSlice(at: body.readerIndex + 2, length: body.readableBytes - 2) ?? body
    }

    /// A value of the provider file as a form has it.
    private func text(_ field: RequestRules.Field) -> String {
        (try? JSONValue(parsing: ByteBuffer(string: field.json)))?.stringValue ?? field.json
    }

    private func written(_ name: String, value: String, isFirst: Bool) -> String {
        let safe = name.filter { $0 != "\"" && $0 != "\r" && $0 != "\n" }
        return "\(isFirst ? "" : "\r\n")--\(form.boundary)\r\nContent-Disposition: form-data; name=\"\(safe)\"\r\n\r\n\(value)"
    }
}
