import NIOCore
package import RouterCore
package import Storage

/// Objects of vendors as clients see them, and what the gateway writes into them.
package enum BatchObjects {
    /// The member of a batch's metadata that recognises it when the answer to its creation was lost.
    package static let mark = "apirouter_request"
    /// Maximum number of entries of metadata (https://platform.openai.com/docs/api-reference/batch/create).
    package static let largestMetadata = 16

    /// Makes the client's batch of the vendor's: the client's endpoint and model, without our mark.
    package static func batch(_ vendor: JSONValue, endpoint: Endpoint, model: String) -> JSONValue {
        guard case .object(let members) = vendor else { return vendor }
        return .object(
            members.map { member in
                switch member.name {
                case "endpoint": JSONValue.Member("endpoint", .optional(BatchSupport.clientURLs[endpoint]))
                case "model" where member.value.stringValue != nil: JSONValue.Member("model", .string(model))
                case "metadata": JSONValue.Member("metadata", metadata(member.value))
                default: member
                }
            })
    }

    private static func metadata(_ value: JSONValue) -> JSONValue {
        guard case .object(let members) = value else { return value }
        let own = members.filter { $0.name != mark }
        return own.isEmpty ? .null : .object(own)
    }

    /// The request that a vendor's batch was made for, as far as our mark tells.
    static func requestID(_ vendor: JSONValue) -> RequestID? { vendor["metadata"]?[mark]?.stringValue.flatMap { RequestID($0) } }

    /// Whether nothing will change any more (https://platform.openai.com/docs/guides/batch).
    package static func isOver(_ vendor: JSONValue) -> Bool {
        ["completed", "failed", "expired", "cancelled"].contains(vendor["status"]?.stringValue ?? "")
    }

    /// The files that a batch has made.
    static func outputs(_ vendor: JSONValue) -> [(id: String, name: String)] {
        [("output_file_id", "output"), ("error_file_id", "error")].compactMap { field, name in
            vendor[field]?.stringValue.flatMap { $0.isEmpty ? nil : ($0, name) }
        }
    }

    /// The row of a batch.
    package static func row(_ hold: LongHold, id: String, _ vendor: JSONValue) -> VendorObject {
        VendorObject(
            kind: .batch, id: id, userID: hold.userID, channelID: hold.channelID, keyMark: hold.keyMark, provider: hold.provider,
            model: hold.model, upstreamModel: hold.upstreamModel, endpoint: hold.endpoint, requestID: hold.requestID,
            object: batch(vendor, endpoint: hold.endpoint, model: hold.model).text, createdAt: hold.createdAt)
    }

    /// The row of a file that a batch has made.
    static func row(_ batch: VendorObject, file: String, name: String, at unixSeconds: Int64) -> VendorObject {
        let object: JSONValue = [
            "id": .string(file), "object": "file", "bytes": .integer(0), "created_at": .integer(unixSeconds),
            "filename": .string("\(batch.id)_\(name).jsonl"), "purpose": "batch_output", "status": "processed",
        ]
        return VendorObject(
            kind: .file, id: file, userID: batch.userID, channelID: batch.channelID, keyMark: batch.keyMark, provider: batch.provider,
            model: batch.model, upstreamModel: batch.upstreamModel, endpoint: batch.endpoint, purpose: "batch_output",
            requestID: batch.requestID, object: object.text, detail: "{}", createdAt: unixSeconds)
    }
}

extension VendorObjectStore {
    /// Notes what a vendor has said of a batch, with the files that it has made by now.
    package func note(_ vendor: JSONValue, of batch: VendorObject, at unixSeconds: Int64) async throws {
        for (id, name) in BatchObjects.outputs(vendor) {
            try await addVendorObject(BatchObjects.row(batch, file: id, name: name, at: unixSeconds))
        }
        let seen = BatchObjects.batch(vendor, endpoint: batch.endpoint, model: batch.model).text
        if seen != batch.object { try await setVendorObject(.batch, id: batch.id, object: seen) }
    }
}
