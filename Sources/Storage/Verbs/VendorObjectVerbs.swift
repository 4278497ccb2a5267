import RouterCore

extension SQLStore {
    public func addVendorObject(_ object: VendorObject) async throws { try await database.write { try $0.add(object) } }

    public func vendorObject(_ kind: VendorObject.Kind, id: String, userID: Int64) async throws -> VendorObject? {
        try await database.read { session in
            try session.first(
                "SELECT * FROM vendor_objects WHERE kind = ?1 AND id = ?2 AND user_id = ?3", [kind.rawValue, id, userID]
            ).map { try Decoding.vendorObject($0) }
        }
    }

    public func vendorObjects(
        _ kind: VendorObject.Kind, userID: Int64, purpose: String?, after: String?, limit: Int, isAscending: Bool
    ) async throws -> [VendorObject] {
        try await database.read { session in
            var conditions = Conditions()
            conditions.add("user_id =", userID)
            conditions.add("kind =", kind.rawValue)
            conditions.add("purpose =", purpose)
            if let after {
                let last = try session.first(
                    "SELECT number FROM vendor_objects WHERE kind = ?1 AND id = ?2 AND user_id = ?3", [kind.rawValue, after, userID])
                guard let last else { return [] }
                conditions.add(isAscending ? "number >" : "number <", try last.int("number"))
            }
            return try session.rows(
                """
                SELECT * FROM vendor_objects WHERE \(conditions.sql) ORDER BY number \(isAscending ? "ASC" : "DESC")
                LIMIT ?\(conditions.parameters.count + 1)
                """, conditions.parameters + [limit]
            ).map { try Decoding.vendorObject($0) }
        }
    }

    public func countVendorObjects(_ kind: VendorObject.Kind, userID: Int64) async throws -> Int64 {
        try await database.read { session in
            try session.first(
                "SELECT count(*) AS number FROM vendor_objects WHERE kind = ?1 AND user_id = ?2", [kind.rawValue, userID])?.int("number")
                ?? 0
        }
    }

    public func setVendorObject(_ kind: VendorObject.Kind, id: String, object: String) async throws {
        try await database.write { session in
            try session.execute("UPDATE vendor_objects SET object = ?1 WHERE kind = ?2 AND id = ?3", [object, kind.rawValue, id])
        }
    }

    public func removeVendorObject(_ kind: VendorObject.Kind, id: String) async throws {
        try await database.write { session in
            try session.execute("DELETE FROM vendor_objects WHERE kind = ?1 AND id = ?2", [kind.rawValue, id])
        }
    }
}

extension SQLSession {
    func add(_ object: VendorObject) throws {
        let added = try execute(
            """
            INSERT INTO vendor_objects (kind, id, user_id, channel_id, key_mark, provider, model_name, upstream_model, endpoint, purpose,
                request_id, object, detail, created_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (kind, id) DO NOTHING
            """,
            [
                object.kind.rawValue, object.id, object.userID, object.channelID, object.keyMark, object.provider, object.model,
                object.upstreamModel, object.endpoint.rawValue, object.purpose, object.requestID?.description, object.object, object.detail,
                object.createdAt,
            ])
        if added == 1 { return }
        let own = try finds(
            "SELECT 1 AS found FROM vendor_objects WHERE kind = ?1 AND id = ?2 AND user_id = ?3 AND channel_id = ?4",
            [object.kind.rawValue, object.id, object.userID, object.channelID])
        if !own { throw StoreError.duplicate("id") }
    }
}

extension Decoding {
    static func vendorObject(_ row: some ColumnReader) throws -> VendorObject {
        guard let kind = VendorObject.Kind(rawValue: try row.text("kind")), let endpoint = Endpoint(rawValue: try row.text("endpoint"))
        else { throw StoreError.database("a row of vendor_objects has an unknown kind or endpoint") }
        return VendorObject(
            kind: kind, id: try row.text("id"), userID: try row.int("user_id"), channelID: try row.int("channel_id"),
            keyMark: try row.text("key_mark"), provider: try row.text("provider"), model: try row.text("model_name"),
            upstreamModel: try row.text("upstream_model"), endpoint: endpoint, purpose: try row.text("purpose"),
            requestID: try row.textOrNil("request_id").flatMap { RequestID($0) }, object: try row.text("object"),
            detail: try row.text("detail"), createdAt: try row.int("created_at"))
    }
}
