import Gateway
import HTTPTypes
import RouterCore

/// What the references say of a route. Every line of ``GatewayRoutes`` has one: a route without does not compile.
struct RouteDescription: Sendable {
    /// Chapters of docs/api.md, tags of the OpenAPI document.
    enum Chapter: String, Sendable, CaseIterable {
        case calls = "Model calls"
        case lists = "Lists of models"
        case login = "Login and one's own account"
        case users = "Users"
        case keys = "API keys"
        case money = "Money"
        case prices = "Models and prices"
        case logs = "Logs"
        case channels = "Channels and routing"
        case operations = "Operations"
    }

    enum Body: Sendable {
        case none
        /// A JSON object with exactly these fields; others are refused.
        case json([APIField], isOptional: Bool = false)
        /// What a vendor has published: these fields mean something to the gateway, all others go on as they are, within
        /// what the dialects can say to each other.
        case vendor([APIField], mediaType: String = "application/json")
    }

    enum Answer: Sendable {
        /// `{"success", "message", "data"}` with this in `data`; nil = null.
        case data(APIField.Kind?)
        /// The same with `{"items", "total", "page", "page_size"}` in `data`.
        case page(APIShape)
        /// JSON as it stands here.
        case json(APIField.Kind)
        /// Text, or bytes, of these media types.
        case raw([String], String)
    }

    /// A call that works as it stands on a gateway with two users, an API key each, and the demo channel.
    struct Example: Sendable {
        /// With the query. Nil = the route's own path.
        var path: String?
        var body: JSONValue?
    }

    /// A name for programs that are generated from the OpenAPI document, unique in it but for prefixes.
    var id: String
    var chapter: Chapter
    /// One line.
    var summary: String
    /// What else there is to know, in Markdown.
    var notes = ""
    /// Where the vendor's own description of the call stands.
    var reference: String?
    /// Parameters of the path, in order. A path that ends in `**` has one.
    var path: [APIField] = []
    var query: [APIField] = []
    var headers: [APIField] = []
    var body = Body.none
    var answer: Answer
    /// What this route answers beside what its access and its body imply (``Route/failures``).
    var errors: [(status: Int, when: String)] = []
    /// The body of a 503 where it is not that of every error.
    var unavailable: APIField.Kind?
    var example = Example()
    /// What may stand behind the name in a path that ends in `**`, as in `:generateContent`.
    var methods: [String] = []

    /// The fields of a JSON body; empty for every other kind of body.
    var bodyFields: [APIField] { if case .json(let fields, _) = body { fields } else { [] } }
}

extension Route {
    /// Statuses that the route may answer, with reasons; its own ones and those that its access and its body imply.
    var failures: [(status: Int, when: String)] {
        var all = description.errors
        switch access {
        case .open: break
        case .apiKey:
            all.append((401, "no API key, or one that is unknown, disabled or expired"))
            all.append((403, "the key may not be used from this address, or its stored limits cannot be read"))
        case .user: all.append((401, "not logged in"))
        case .admin: all += [(401, "not logged in"), (403, "the caller is no admin")]
        case .root: all += [(401, "not logged in"), (403, "the caller is not root")]
        }
        switch description.body {
        case .none: break
        case .json, .vendor:
            all.append((400, "the body is malformed, or a field is missing, unknown or wrong"))
            all.append((408, "the body came too slowly"))
            all.append((413, "the body is larger than \(bodyBound)"))
        }
        all.append((503, "the books cannot be read or written, or there is no room at the moment"))
        return all
    }

    /// The largest body, in words.
    var bodyBound: String {
        switch body {
        case .login: "\(BodyClass.loginBytes) bytes"
        case .management: "\(BodyClass.managementBytes) bytes"
        case .modelCall: "`server.max_body_bytes`"
        }
    }

    /// The paths as the references write them: a name instead of `**`, one for each method behind it.
    var documentedPaths: [String] {
        guard path.hasSuffix("**"), let name = description.path.last?.name else { return [path] }
        let base = path.dropLast(2) + "{\(name)}"
        return description.methods.isEmpty ? [String(base)] : description.methods.map { "\(base):\($0)" }
    }
}
