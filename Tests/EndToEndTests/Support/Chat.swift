import HTTPTypes
import NIOCore
import RouterCore
import Simulator

/// Requests as clients send them, and what the books and the vendor have of them.
extension World {
    /// - Parameter more: further members of the body.
    func chat(
        _ model: String = "sim/cheap", stream: Bool = false, controls: String = "", text: String = "a b c d e f",
        more: [JSONValue.Member] = [], headers: [(String, String)] = [], leaveAfter: Int? = nil
    ) async throws -> Client.Answer {
        var members: [JSONValue.Member] = [
            .init("model", .string(model)), .init("messages", [["role": "user", "content": .string(text)]]),
        ]
        if stream { members.append(.init("stream", true)) }
        if !controls.isEmpty { members.append(.init("sim_control", .string(controls))) }
        return try await client.call(
            .post, "/v1/chat/completions", key: GatewayProcess.rootKey, body: JSONValue.object(members + more).text,
            headers: headers, leaveAfter: leaveAfter)
    }

    /// The log rows, newest first, once there are this many.
    func logRows(_ count: Int) async throws -> [JSONValue] {
        var rows: [JSONValue] = []
        try await eventually("\(count) log rows") {
            rows = try await admin.get("/api/log?page_size=100")["data"]?["items"]?.arrayValue ?? []
            return rows.count >= count
        }
        return rows
    }

    /// How often the vendor was asked with the key that ends like this.
    func calls(key: String) -> Int { simulator.record.rows().count { $0.key == key } }

    func channel(_ id: Int64) async throws -> JSONValue {
        let channels = try await admin.get("/api/channel")["data"]?.arrayValue ?? []
        guard let channel = channels.first(where: { $0["id"]?.integerValue == id }) else { throw StringError("no channel \(id)") }
        return channel
    }
}
