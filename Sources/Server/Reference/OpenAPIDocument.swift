import Crypto
import Gateway
import HTTPTypes
import NIOCore
import RouterCore

/// The table of routes as an OpenAPI 3.1 document: docs/openapi.yaml, and `GET /api/openapi.json`.
enum OpenAPIDocument {
    static let json = make(GatewayRoutes.all)

    /// The document as it is served.
    static let bytes: ByteBuffer = {
        var buffer = ByteBuffer()
        json.write(to: &buffer)
        return buffer
    }()

    static let eTag: String = {
        let digits = SHA256.hash(data: bytes.readableBytesView).prefix(16).map { byte in
            byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
        }
        return "\"\(digits.joined())\""
    }()

    static func make(_ routes: [Route]) -> JSONValue {
        var paths: [(path: String, operations: [JSONValue.Member])] = []
        for route in routes {
            for path in route.documentedPaths {
                let member = JSONValue.Member(route.method.rawValue.lowercased(), operation(route, path))
                if let index = paths.firstIndex(where: { $0.path == path }) {
                    paths[index].operations.append(member)
                } else {
                    paths.append((path, [member]))
                }
            }
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "APIRouter", "version": "1", "license": ["name": "MIT", "identifier": "MIT"],
                "description": .string(introduction),
            ],
            "servers": [["url": "/"]],
            "tags": .array(RouteDescription.Chapter.allCases.map { ["name": .string($0.rawValue)] }),
            "paths": .object(paths.map { .init($0.path, .object($0.operations)) }),
            "components": [
                "securitySchemes": securitySchemes,
                "responses": .object(
                    [modelError, managementError].map { shape in
                        .init(shape.name, ["description": .string(shape.meaning), "content": json(.shape(shape))])
                    }),
                "schemas": schemas(routes),
            ],
        ]
    }

    private static let introduction = """
        A gateway between programs that speak the OpenAI API and vendors that serve models. Every answer has `X-Request-Id`. Times are \
        Unix seconds; amounts are USD as JSON numbers, exact to nine decimals, prices to fifteen: read them as decimals.
        """

    private static let securitySchemes: JSONValue = [
        "apiKey": ["type": "http", "scheme": "bearer", "description": "An API key (`sk-…`)."],
        "anthropicKey": [
            "type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same key, where Anthropic's clients send it.",
        ],
        "googleKey": [
            "type": "apiKey", "in": "header", "name": "x-goog-api-key", "description": "The same key, where Google's clients send it.",
        ],
        "managementToken": [
            "type": "http", "scheme": "bearer", "description": "The `access_token` of a login, or a management token without an end.",
        ],
        "session": [
            "type": "apiKey", "in": "cookie", "name": .string(Sessions.cookieName),
            "description": "The same for browsers; `__Host-` stands before the name where `server.public_url` is https.",
        ],
    ]

    // MARK: Operations

    private static func operation(_ route: Route, _ path: String) -> JSONValue {
        let description = route.description
        var members: [JSONValue.Member] = [
            .init("operationId", .string(operationID(description, path))), .init("tags", [.string(description.chapter.rawValue)]),
            .init("summary", .string(OpenAPISchema.plain(description.summary))),
        ]
        let notes = [description.notes, route.access.words].filter { !$0.isEmpty }
        members.append(.init("description", .string(OpenAPISchema.plain(notes.joined(separator: " ")))))
        if let reference = description.reference { members.append(.init("externalDocs", ["url": .string(reference)])) }
        let parameters =
            description.path.map { parameter($0, "path") } + description.query.map { parameter($0, "query") }
            + description.headers.map { parameter($0, "header") }
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if let body = body(description) { members.append(.init("requestBody", body)) }
        members.append(.init("responses", responses(route, path)))
        members.append(.init("security", security(route)))
        return .object(members)
    }

    private static func operationID(_ description: RouteDescription, _ path: String) -> String {
        let method = description.methods.first { path.hasSuffix(":" + $0) }
        // Further addresses of a call.
        if path.hasPrefix("/dashboard/") { return description.id + "WithoutVersion" }
        if path.hasPrefix("/api/v1/auth/") { return description.id + "ForOpenRouterAuth" }
        if path.hasPrefix("/api/v1/") { return description.id + "ForOpenRouter" }
        return (method ?? description.id) + (method != nil && path.hasPrefix("/v1/") ? "V1" : "")
    }

    private static func parameter(_ field: APIField, _ place: String) -> JSONValue {
        [
            "name": .string(field.name), "in": .string(place), "required": .boolean(place == "path" || field.isRequired),
            "description": .string(OpenAPISchema.description(field)), "schema": OpenAPISchema.schema(field.kind, inRequest: true),
        ]
    }

    private static func body(_ description: RouteDescription) -> JSONValue? {
        let schema: JSONValue
        let type: String
        let isRequired: Bool
        switch description.body {
        case .none: return nil
        case .json(let fields, let isOptional):
            (schema, type, isRequired) = (OpenAPISchema.object(fields, inRequest: true, isClosed: true), "application/json", !isOptional)
        case .vendor(let fields, let mediaType):
            (schema, type, isRequired) = (OpenAPISchema.object(fields, inRequest: true, isClosed: false), mediaType, true)
        }
        let example = description.example.body.map { [JSONValue.Member("example", $0)] } ?? []
        return ["required": .boolean(isRequired), "content": .object([.init(type, .object([.init("schema", schema)] + example))])]
    }

    private static func security(_ route: Route) -> JSONValue {
        func one(_ name: String) -> JSONValue { .object([.init(name, [])]) }
        switch route.access {
        case .open: return []
        case .apiKey:
            let isGoogles = route.path.hasPrefix("/v1beta/") || route.path.hasPrefix("/v1/models")
            return .array([one("apiKey"), one("anthropicKey")] + (isGoogles ? [one("googleKey")] : []))
        case .managementKey, .anyKey: return .array([one("apiKey"), one("anthropicKey")])
        case .user, .admin, .root: return [one("managementToken"), one("session")]
        }
    }

    // MARK: Answers

    private static func responses(_ route: Route, _ path: String) -> JSONValue {
        let description = route.description
        var members: [JSONValue.Member] = [.init(String(description.status), success(description.answer))]
        let isModelArea = path.hasPrefix("/v1") || path.hasPrefix("/api/v1/") || path == ModelCallRoute.playground.path
        for status in Set(route.failures.map(\.status)).sorted() {
            let when = route.failures.filter { $0.status == status }.map(\.when).joined(separator: "; or ")
            var response: [JSONValue.Member] = [.init("description", .string(OpenAPISchema.plain(when)))]
            if status == 503, let unavailable = description.unavailable {
                response.append(.init("content", json(unavailable)))
            } else if status != 304 {
                // Members beside a reference override its description.
                let name = (isModelArea ? modelError : managementError).name
                response.insert(.init("$ref", .string("#/components/responses/\(name)")), at: 0)
            }
            members.append(.init(String(status), .object(response)))
        }
        return .object(members)
    }

    private static func json(_ kind: APIField.Kind) -> JSONValue {
        ["application/json": ["schema": OpenAPISchema.schema(kind, inRequest: false)]]
    }

    private static func success(_ answer: RouteDescription.Answer) -> JSONValue {
        func done(_ content: JSONValue) -> JSONValue { ["description": "Done.", "content": content] }
        switch answer {
        case .json(let kind): return done(json(kind))
        case .raw(let types, let meaning):
            return ["description": .string(meaning), "content": .object(types.map { .init($0, .object([])) })]
        case .data, .page:
            let data = answer.data.map { OpenAPISchema.schema($0, inRequest: false) } ?? ["type": "null"]
            let envelope: JSONValue = [
                "type": "object",
                "properties": ["success": ["type": "boolean", "const": true], "message": ["type": "string"], "data": data],
                "required": ["success", "message", "data"],
            ]
            return done(["application/json": ["schema": envelope]])
        }
    }

    private static let managementError = APIShape(
        name: "ManagementError", meaning: "An error of the management API.",
        fields: [
            APIField("success", .boolean, "False."), APIField("message", .string, "What is wrong, in words."),
            APIField("code", .choice(ManagementCode.allCases.map(\.rawValue)), "The error's name, which stays as it is."),
            APIField("details", .any, "What belongs to the code.").optional,
            APIField("data", .any, "Null."),
        ])

    private static let modelError = APIShape(
        name: "Error",
        meaning: """
            An error of a model call, in OpenAI's form. Under `/api/v1` `code` is the status as a number and the rest stands under \
            `metadata`; Messages and Google's clients get the forms of those.
            """,
        fields: [
            APIField(
                "error",
                .object([
                    APIField("message", .string, "What is wrong, in words.").optional,
                    APIField("type", .string, "Such as `invalid_request_error`.").optional.orNull,
                    APIField("param", .string, "The field that is wrong.").optional.orNull,
                    APIField("code", .any, "Such as `model_not_found`.").optional.orNull,
                ]), "What happened.")
        ])

    private static func schemas(_ routes: [Route]) -> JSONValue {
        var all: [APIShape] = [managementError, modelError]
        for route in routes { all += route.description.shapes }
        var seen: Set<String> = []
        return .object(
            all.filter { seen.insert($0.name).inserted }.map { shape in
                guard case .object(let members) = OpenAPISchema.object(shape.fields, inRequest: false, isClosed: false) else {
                    return .init(shape.name, .object([]))
                }
                return .init(shape.name, .object(members + [.init("description", .string(OpenAPISchema.plain(shape.meaning)))]))
            })
    }
}

extension RouteAccess {
    /// The access rule as a sentence.
    var words: String {
        switch self {
        case .open: "Everybody may call this."
        case .apiKey: "Takes an API key."
        case .managementKey: "Takes a management key."
        case .anyKey: "Takes an API key or a management key."
        case .user: "For every user who is logged in."
        case .admin: "For admins and root."
        case .root: "For root."
        }
    }
}

extension RouteDescription.Answer {
    /// The content of `data`; nil = null, or the answer has no such member.
    var data: APIField.Kind? {
        switch self {
        case .data(let kind): kind
        case .page(let row):
            .object([
                APIField("items", .list(.shape(row)), "The rows."), APIField("total", .count, "Rows of all pages."),
                APIField("page", .count, "Number of this page, from 1."), APIField("page_size", .count, "Rows of a page."),
            ])
        case .json, .raw: nil
        }
    }
}

extension RouteDescription {
    /// Shapes in the body and the answer of the route.
    var shapes: [APIShape] {
        let body: [APIField] =
            switch body {
            case .none: []
            case .json(let fields, _): fields
            case .vendor(let fields, _): fields
            }
        var kinds = body.map(\.kind)
        if let data = answer.data { kinds.append(data) }
        if case .json(let kind) = answer { kinds.append(kind) }
        if let unavailable { kinds.append(unavailable) }
        return kinds.flatMap { OpenAPISchema.shapes(in: $0) }
    }
}
