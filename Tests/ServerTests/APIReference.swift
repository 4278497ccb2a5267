import HTTPTypes
import RouterCore

@testable import Gateway
@testable import Server

/// docs/api.md: the table of routes for people.
enum APIReference {
    static var markdown: String {
        var text = introduction
        var documented: Set<String> = []
        for chapter in RouteDescription.Chapter.allCases {
            text += "\n## \(chapter.rawValue)\n"
            for route in GatewayRoutes.all
            where route.description.chapter == chapter && documented.insert(route.description.id).inserted {
                text += "\n" + self.route(route)
            }
        }
        text += "\n## Shapes\n\nObjects that several answers share.\n"
        var seen: Set<String> = []
        for shape in GatewayRoutes.all.flatMap(\.description.shapes) where seen.insert(shape.name).inserted {
            text += "\n### \(shape.name)\n\n\(shape.meaning)\n\n" + table("field", rows(shape.fields, inRequest: false))
        }
        return text
    }

    private static let introduction = """
        # API reference

        Made from the table of routes and the declarations that the handlers read by (`make docs`); do not edit. Programs have the same as an OpenAPI 3.1
        document: [openapi.yaml](openapi.yaml), and `GET /api/openapi.json` of a running gateway.

        **Model calls** (`/v1`, `/api/v1`, `/v1beta`) take an API key: `Authorization: Bearer sk-…`, or `x-api-key`, or in Google's dialect
        `x-goog-api-key`. Errors are `{"error": {"message", "type", "param", "code"}}`; under `/api/v1`, and for clients of Messages and Google's
        dialect, they have the forms of those. [ARCHITECTURE.md](ARCHITECTURE.md#errors) has the table of all of them.

        **The management API** (`/api`) takes a management token, the `access_token` of `POST /api/user/login`: `Authorization: Bearer at-…`, or the session's cookie
        from a browser. Bodies are JSON objects with exactly the fields that are listed; others are refused by name. Answers are
        `{"success": true, "message": "", "data": …}`; the tables below say what stands in `data`. Errors are `{"success": false, "message": "…", "data": null, "code": "…"}`, some with `details` ([codes](#codes-of-the-management-api)).
        Lists come in pages: `data` is `{"items": […], "total": 41, "page": 1, "page_size": 20}`.

        Every answer has `X-Request-Id`. Amounts are USD as JSON numbers with at most nine decimals, prices with at most fifteen: read them as
        decimals, not as binary floating point. Where a request takes an amount or a price, the same as text will do. Times are Unix seconds. In a request, null is the same as leaving an
        optional field out, unless it says otherwise.

        In the examples `$KEY` is an API key, `$TOKEN` a management token and `$MANAGEMENT_KEY` a management key
        ([openrouter.md](openrouter.md#management-keys)).

        ## Errors of every call

        | status | when |
        |---|---|
        | 400 | the body is no JSON object, or a field is missing, unknown or wrong; a parameter of the path or the query is wrong |
        | 401 | no API key, or one that is unknown, disabled or expired; not logged in |
        | 403 | the key may not be used from this address, or its stored limits cannot be read; the caller's role is too low |
        | 408 | the body came too slowly ([configuration.md](configuration.md#bounds)) |
        | 413 | the body is too large: management calls take \(BodyClass.managementBytes / 1024) KB, login and registration \(BodyClass.loginBytes / 1024) KB, model calls `server.max_body_bytes` |
        | 500 | a mistake of the gateway, which its log describes under the `X-Request-Id` |
        | 503 | the books cannot be read or written, or there is no room at the moment; `Retry-After` where it is known |

        ## Codes of the management API

        The `code` of an error does not change with its message, and is what a program or a translation should go by.

        | code | when |
        |---|---|
        \(ManagementCode.allCases.map { "| `\($0.rawValue)` | \($0.meaning) |" }.joined(separator: "\n"))

        """

    private static func route(_ route: Route) -> String {
        let description = route.description
        let paths = GatewayRoutes.all.filter { $0.description.id == description.id && $0.method == route.method }
            .flatMap(\.documentedPaths)
        let method = route.method.rawValue
        var text = "### `\(method) \(paths[0])`\n\n\(description.summary) \(description.notes)".trimmedEnd + "\n\n"
        if paths.count > 1 { text += "Also " + paths[1...].map { "`\($0)`" }.joined(separator: ", ") + ".\n\n" }
        text += route.access.words
        if let reference = description.reference { text += " The vendor's description: <\(reference)>." }
        text += "\n\n"
        let places = [("path", description.path), ("query", description.query), ("header", description.headers)]
        let parameters = places.flatMap { place, fields in rows(fields, inRequest: true).map { [place] + $0 } }
        if !parameters.isEmpty { text += table("in", "parameter", parameters) + "\n" }
        text += body(description)
        text += answer(description.answer)
        text += "Errors: " + errors(route) + ".\n\n"
        return text + "```sh\n\(curl(route))\n```\n"
    }

    private static func body(_ description: RouteDescription) -> String {
        switch description.body {
        case .none: ""
        case .json(let fields, let isOptional):
            (isOptional ? "The body may be left out.\n\n" : "") + table("body", rows(fields, inRequest: true)) + "\n"
        case .vendor(let fields, let mediaType):
            (mediaType == "application/json" ? "" : "The body is `\(mediaType)`.\n\n") + table("body", rows(fields, inRequest: true)) + "\n"
        }
    }

    private static func answer(_ answer: RouteDescription.Answer) -> String {
        switch answer {
        case .data(nil): "`data` is null.\n\n"
        case .data(let kind?): described(kind, "`data`")
        case .page(let shape): "`data` is a page of [\(shape.name)](#\(shape.name.lowercased())).\n\n"
        case .json(.any): "The answer is the document.\n\n"
        case .json(let kind): described(kind, "The answer")
        case .raw(let types, let meaning):
            "The answer (" + types.map { "`\($0)`" }.joined(separator: ", ")
                + "): \(meaning.prefix(1).lowercased() + meaning.dropFirst())\n\n"
        }
    }

    private static func described(_ kind: APIField.Kind, _ what: String) -> String {
        switch kind {
        case .object(let fields): table("answer", rows(fields, inRequest: false)) + "\n"
        case .list(.object(let fields), _): "\(what) is a list of:\n\n" + table("answer", rows(fields, inRequest: false)) + "\n"
        default: "\(what) is \(article(words(kind, inRequest: false))).\n\n"
        }
    }

    private static func article(_ words: String) -> String { words.hasPrefix("list") || words.hasPrefix("[") ? "a \(words)" : words }

    private static func errors(_ route: Route) -> String {
        let own = route.description.errors.sorted { $0.status < $1.status }.map { "\($0.status) \($0.when)" }
        let common = Set(route.failures.map(\.status)).subtracting([304]).sorted()
            .filter { status in route.failures.contains { $0.status == status && !isOwn($0, route) } }
        return (own + [common.map(String.init).joined(separator: ", ") + " [as everywhere](#errors-of-every-call)"]).joined(separator: "; ")
    }

    private static func isOwn(_ failure: (status: Int, when: String), _ route: Route) -> Bool {
        route.description.errors.contains { $0.status == failure.status && $0.when == failure.when }
    }

    // MARK: Tables

    private static func table(_ first: String, _ second: String, _ rows: [[String]]) -> String {
        lines(["| \(first) | \(second) | type | |", "|---|---|---|---|"], rows)
    }

    private static func table(_ first: String, _ rows: [[String]]) -> String {
        rows.isEmpty ? "" : lines(["| \(first) | type | |", "|---|---|---|"], rows)
    }

    private static func lines(_ head: [String], _ rows: [[String]]) -> String {
        (head + rows.map { "| " + $0.joined(separator: " | ") + " |" }).joined(separator: "\n") + "\n"
    }

    private static func rows(_ fields: [APIField], inRequest: Bool, prefix: String = "") -> [[String]] {
        fields.flatMap { field -> [[String]] in
            var kind = words(field.kind, inRequest: inRequest)
            if field.isNullable { kind += " or null" }
            if !field.isRequired { kind += inRequest ? "; optional" : "; not always there" }
            let row = ["`\(prefix)\(field.name)`", kind, field.meaning.split(separator: "\n").joined(separator: " ")]
            switch field.kind {
            case .object(let members): return [row] + rows(members, inRequest: inRequest, prefix: "\(prefix)\(field.name).")
            case .list(.object(let members), _): return [row] + rows(members, inRequest: inRequest, prefix: "\(prefix)\(field.name)[].")
            default: return [row]
            }
        }
    }

    private static func words(_ kind: APIField.Kind, inRequest: Bool) -> String {
        switch kind {
        case .text(let maximum): "text" + (inRequest ? maximum.map { ", at most \($0) bytes" } ?? "" : "")
        case .choice(let values): values.map { "`\($0)`" }.joined(separator: ", ")
        case .integer(let range):
            switch (range.lowerBound, range.upperBound) {
            case (.min, .max): "whole number"
            case (let low, .max): "whole number from \(low)"
            case (let low, let high): "whole number, \(low) to \(high)"
            }
        case .code(let values): values.map { "\($0.value) (\($0.meaning))" }.joined(separator: ", ")
        case .time: "Unix seconds"
        case .boolean: "boolean"
        case .usd: "USD"
        case .price: "USD per unit"
        case .decimal: "number"
        case .list(let element, let maximum):
            "list of \(words(element, inRequest: inRequest))" + (maximum.map { ", at most \($0)" } ?? "")
        case .object: "object"
        case .shape(let shape): "[\(shape.name)](#\(shape.name.lowercased()))"
        case .file: "file"
        case .any: "any JSON"
        }
    }

    // MARK: The example

    private static func curl(_ route: Route) -> String {
        let description = route.description
        let path = description.example.path ?? route.path
        let url = "localhost:3000\(path)"
        var words = ["curl"]
        let isStream = description.example.body?["stream"]?.boolValue == true
        if isStream { words.append("-N") }
        let sends = description.example.body != nil || description.body.isForm
        if route.method != .get, !(route.method == .post && sends) { words.append("-X \(route.method.rawValue)") }
        words.append(path.contains("?") ? "'\(url)'" : url)
        switch route.access {
        case .open: break
        case .apiKey, .anyKey: words.append("-H \"Authorization: Bearer $KEY\"")
        case .managementKey: words.append("-H \"Authorization: Bearer $MANAGEMENT_KEY\"")
        case .user, .admin, .root: words.append("-H \"Authorization: Bearer $TOKEN\"")
        }
        if description.body.isForm {
            words.append(
                path.hasSuffix("/images/edits")
                    ? "-F model=openai/gpt-image-1 -F image=@cat.png -F 'prompt=a hat'" : "-F model=openai/whisper-1 -F file=@speech.mp3")
        }
        if let body = description.example.body { words.append("-H 'Content-Type: application/json' \\\n  -d '\(body.text)'") }
        return words.joined(separator: " ")
    }
}

extension RouteDescription.Body {
    var isForm: Bool { if case .vendor(_, let type) = self { type == "multipart/form-data" } else { false } }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
