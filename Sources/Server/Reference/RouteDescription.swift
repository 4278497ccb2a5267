import Gateway
import HTTPTypes
import RouterCore

/// The reference documentation of a route. Every line of ``GatewayRoutes`` has one: a route without a description does not compile.
struct RouteDescription: Sendable {
    /// A chapter of docs/api.md, and a tag of the OpenAPI document.
    enum Chapter: String, Sendable, CaseIterable {
        case calls = "Model calls"
        case responses = "Stored responses and conversations"
        case lists = "Lists of models"
        case batches = "Files and batches"
        case login = "Login and one's own account"
        case users = "Users"
        case keys = "API keys"
        case organizations = "Organizations"
        case openRouter = "OpenRouter's calls"
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
        /// The vendor's published format: these fields have a meaning to the gateway, all others are passed on unchanged, as far as the
        /// dialects can express them.
        case vendor([APIField], mediaType: String = "application/json")
    }

    enum Answer: Sendable {
        /// `{"success", "message", "data"}` with this in `data`; nil = null.
        case data(APIField.Kind?)
        /// The same with `{"items", "total", "page", "page_size"}` in `data`.
        case page(APIShape)
        /// The JSON value itself, without the envelope.
        case json(APIField.Kind)
        /// Text or bytes of these media types.
        case raw([String], String)
    }

    /// A call that works unchanged on a gateway with two users, an API key each, and the demo channel.
    struct Example: Sendable {
        /// With the query. nil = the route's own path.
        var path: String?
        var body: JSONValue?
        /// Where no call can do more than be refused.
        var status = 200
    }

    /// The operation id in the OpenAPI document, for generated clients; unique except for prefixes.
    var id: String
    var chapter: Chapter
    /// One line.
    var summary: String
    /// Further explanation, in Markdown.
    var notes = ""
    /// Link to the vendor's own documentation of the call.
    var reference: String?
    /// Parameters of the path, in order. A path that ends in `**` has one.
    var path: [APIField] = []
    var query: [APIField] = []
    var headers: [APIField] = []
    var body = Body.none
    var answer: Answer
    /// The status of a success.
    var status = 200
    /// Errors of this route, in addition to those that its access and its body imply (``Route/failures``).
    var errors: [(status: Int, when: String)] = []
    /// The body of a 503, where it differs from the usual error body.
    var unavailable: APIField.Kind?
    var example = Example()
    /// Suffixes that may follow the name in a path that ends in `**`, such as `:generateContent`.
    var methods: [String] = []

    /// The fields of a JSON body; empty for every other kind of body.
    var bodyFields: [APIField] { if case .json(let fields, _) = body { fields } else { [] } }
}

extension Route {
    /// Statuses that the route may answer, with reasons: its own, and those implied by its access and its body.
    var failures: [(status: Int, when: String)] {
        var all = description.errors
        switch access {
        case .open: break
        case .apiKey:
            all.append((401, "no API key, or one that is unknown, disabled or expired"))
            all.append((403, "a management key, or the key may not be used from this address, or its stored limits cannot be read"))
        case .managementKey:
            all.append((401, "no API key, or one that is unknown, disabled or expired"))
            all.append((403, "the key is no management key, or may not be used from this address"))
        case .anyKey:
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
        case .document: "\(BodyClass.documentBytes) bytes"
        case .modelCall, .upload: "`server.max_body_bytes`"
        }
    }

    /// The paths as the references show them: a name instead of `**`, one path for each method suffix.
    var documentedPaths: [String] {
        guard path.hasSuffix("**"), let name = description.path.last?.name else { return [path] }
        let base = path.dropLast(2) + "{\(name)}"
        return description.methods.isEmpty ? [String(base)] : description.methods.map { "\(base):\($0)" }
    }
}
