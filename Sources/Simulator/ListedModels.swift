public import RouterCore
import Synchronization

/// The answer to `GET /api/v1/models`, in OpenRouter's form: names, limits and prices in USD per token as text. Replaced with `POST
/// /_sim/models {"data":[…]}` or ``set(_:)``; a reset restores the built-in list.
public final class ListedModels: Sendable {
    private let list = Mutex<JSONValue?>(nil)

    init() {}

    /// - Parameter value: the whole answer, `{"data":[…]}`; nil = the built-in one.
    public func set(_ value: JSONValue?) { list.withLock { $0 = value } }

    var answer: JSONValue { list.withLock { $0 } ?? Self.builtin }

    private static let builtin: JSONValue = [
        "object": "list",
        "data": [
            model("demo/echo", name: "Demo: Echo", takes: ["text"], pricing: ["prompt": "0.00000015", "completion": "0.0000006"]),
            model(
                "demo/vision", name: "Demo: Vision", takes: ["text", "image"],
                pricing: ["prompt": "0.000003", "completion": "0.000015", "image": "0.0048", "input_cache_read": "0.0000003"]),
            model("demo/router", name: "Demo: Router", takes: ["text"], pricing: ["prompt": "-1", "completion": "-1"]),
        ],
    ]

    private static func model(_ id: String, name: String, takes: [String], pricing: JSONValue) -> JSONValue {
        [
            "id": .string(id), "name": .string(name), "created": .integer(1_700_000_000), "description": "Of the simulator.",
            "context_length": .integer(131_072),
            "architecture": ["input_modalities": .array(takes.map { .string($0) }), "output_modalities": ["text"]],
            "pricing": pricing, "top_provider": ["context_length": .integer(131_072), "max_completion_tokens": .integer(8_192)],
        ]
    }
}
