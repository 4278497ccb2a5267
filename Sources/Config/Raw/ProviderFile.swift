import NIOCore
import RouterCore
import Yams

/// The protocol families that a provider may have.
public enum ProviderFamilies {
    public static let names = ["openai", "openrouter", "anthropic", "gemini", "cohere", "azure-openai", "bedrock"]
}

/// `providers/<name>.yaml`.
enum ProviderFile {
    private static var families: [String] { ProviderFamilies.names }

    static func read(_ cursor: YAMLCursor, fileName: String) -> ProviderSpec? {
        let keys = [
            "name", "display_name", "adaptor", "base_url", "key_env", "key_url", "auth", "headers", "endpoints", "request", "usage",
            "errors", "billing", "models", "default_price", "keys_share_account", "catalogue", "responses", "batches",
        ]
        guard let root = cursor.object(keys) else { return nil }
        let name = root.require("name")?.string("the file's name without .yaml")
        if let name, name != fileName { root["name"]?.mismatch("\(fileName), the file's name without .yaml") }
        let family = root.require("adaptor").flatMap(readFamily)
        let baseURL = root.require("base_url").flatMap(CommonSections.baseURL)
        var spec = ProviderSpec(
            name: name ?? fileName, family: AdaptorID(rawValue: family ?? ""), baseURL: baseURL ?? "")
        if let text = root["display_name"]?.string() { spec.displayName = text }
        if let text = root["key_env"]?.string("the name of an environment variable") { spec.keyEnv = text }
        if let url = root["key_url"] { spec.keyURL = readPage(url) }
        if let auth = root["auth"] { spec.auth = readAuth(auth) ?? .bearer }
        if let headers = root["headers"] { spec.headers = CommonSections.headers(headers) }
        if let endpoints = root["endpoints"] { spec.endpoints = readEndpoints(endpoints) }
        if let request = root["request"] { spec.request = readRequest(request) }
        if let usage = root["usage"] { spec.usage = readUsage(usage) }
        if let errors = root["errors"]?.list("a list of { status, body_contains, code, kind }") {
            spec.errors = errors.compactMap(readErrorRule)
        }
        if let models = root["models"]?.list("a list of models") { spec.models = readModels(models) }
        if let flag = root["keys_share_account"]?.boolean() { spec.keysShareAccount = flag }
        if let state = root["responses"]?.object(["stateful", "background"]) {
            spec.keepsResponses = state["stateful"]?.boolean() ?? false
            spec.makesBackgroundResponses = state["background"]?.boolean() ?? false
            if spec.makesBackgroundResponses, !spec.keepsResponses {
                state["background"]?.mismatch("false where 'stateful' is not true: a background response is kept at its vendor")
            }
        }
        if let catalogue = root["catalogue"] { spec.catalogue = readCatalogue(catalogue) }
        if let batches = root["batches"] { spec.batches = readBatches(batches) }
        if let price = root["default_price"] { spec.defaultPrice = PriceSection.read(price) }
        // A server whose models are all free is the operator's own.
        let hasPrices = spec.models.contains { $0.price != nil && $0.price != .free }
        spec.billing.isFree = spec.defaultPrice == .free && !hasPrices
        if let billing = root["billing"]?.object(["cancel_stops_billing", "free", "thinking_beyond_max_tokens"]) {
            spec.billing.cancelStopsBilling = billing["cancel_stops_billing"]?.boolean() ?? false
            if let flag = billing["free"]?.boolean() { spec.billing.isFree = flag }
            spec.billing.thinkingBeyondLimit = billing["thinking_beyond_max_tokens"]?.integer(0...10_000_000) ?? 0
        }
        return name == fileName && family != nil && baseURL != nil ? spec : nil
    }

    private static func readFamily(_ cursor: YAMLCursor) -> String? {
        let expected = "one of \(families.joined(separator: ", "))"
        guard let text = cursor.string(expected) else { return nil }
        guard families.contains(text) else {
            cursor.mismatch(expected, suggestion: NearestWord.suggestion(for: text, among: families))
            return nil
        }
        return text
    }

    /// The address of a page that people are sent to.
    private static func readPage(_ cursor: YAMLCursor) -> String? {
        let expected = "an https:// URL of at most 500 characters, without a user"
        guard let text = cursor.string(expected) else { return nil }
        let host = text.dropFirst(8).prefix { !"/?#".contains($0) }
        let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"'<>\\`".utf8.contains($0) }
        guard text.hasPrefix("https://"), !host.isEmpty, !host.contains("@"), isPlain, text.utf8.count <= 500 else {
            cursor.mismatch(expected)
            return nil
        }
        return text
    }

    private enum AuthType: String, CaseIterable { case bearer, header, query, none }

    private static func readAuth(_ cursor: YAMLCursor) -> AuthStyle? {
        guard let object = cursor.object(["type", "name", "prefix"]),
            let type = object.require("type")?.choice(AuthType.self)
        else { return nil }
        switch type {
        case .bearer: return .bearer
        case .none: return AuthStyle.none
        case .header:
            guard let cursor = object.require("name"), let name = cursor.string("a header name") else { return nil }
            guard CommonSections.isToken(name) else {
                cursor.mismatch("a header name")
                return nil
            }
            return .header(name: name, prefix: object["prefix"]?.string("text", allowEmpty: true) ?? "")
        case .query: return object.require("name")?.string("the name of a query parameter").map { .query(name: $0) }
        }
    }

    private static func readEndpoints(_ cursor: YAMLCursor) -> [Endpoint: String?] {
        guard let object = cursor.object(Endpoint.allCases.map(\.rawValue)) else { return [:] }
        var endpoints: [Endpoint: String?] = [:]
        for endpoint in Endpoint.allCases {
            guard let member = object[endpoint.rawValue] else { continue }
            guard case .value(let scalar) = member.scalar("a path that begins with / or true") else { continue }
            if scalar.isBoolean || scalar.isNull {
                if scalar.text.lowercased() != "false" { endpoints[endpoint] = .some(nil) }
            } else if scalar.text.hasPrefix("/"), !scalar.text.contains(".."), !scalar.text.contains(" ") {
                endpoints[endpoint] = scalar.text
            } else {
                member.mismatch("a path that begins with /, or true for the family's own")
            }
        }
        return endpoints
    }

    /// `true`, or the paths and endpoints that differ from the family's.
    private static func readBatches(_ cursor: YAMLCursor) -> BatchSupport? {
        if case .scalar = cursor.node { return cursor.boolean() == true ? BatchSupport() : nil }
        guard let object = cursor.object(["files", "batches", "endpoints"]) else { return nil }
        var support = BatchSupport(files: object["files"].flatMap(path), batches: object["batches"].flatMap(path))
        guard let endpoints = object["endpoints"] else { return support }
        let known = BatchSupport.clientURLs.keys.map(\.rawValue).sorted()
        guard let list = endpoints.object(known) else { return support }
        var urls: [Endpoint: String] = [:]
        for (endpoint, own) in BatchSupport.clientURLs {
            guard let member = list[endpoint.rawValue] else { continue }
            guard case .value(let scalar) = member.scalar("a path that begins with / or true") else { continue }
            if scalar.isBoolean {
                if scalar.text.lowercased() == "true" { urls[endpoint] = own }
            } else {
                urls[endpoint] = path(member)
            }
        }
        support.urls = urls
        return support
    }

    private static func path(_ cursor: YAMLCursor) -> String? {
        let expected = "a path that begins with /"
        guard let text = cursor.string(expected) else { return nil }
        guard text.hasPrefix("/"), !text.contains(".."), !text.contains(" ") else {
            cursor.mismatch(expected)
            return nil
        }
        return text
    }

    private static func readRequest(_ cursor: YAMLCursor) -> RequestRules {
        var rules = RequestRules()
        guard let object = cursor.object(["rename", "drop", "default", "set"]) else { return rules }
        if let rename = object["rename"]?.entries("a mapping from old to new field names") {
            rules.rename = rename.compactMap { name, value in
                value.string("a field name").map { RequestRules.Rename(from: name, to: $0) }
            }
        }
        if let drop = object["drop"]?.list("a list of field names") { rules.drop = drop.compactMap { $0.string("a field name") } }
        rules.defaults = fields(object["default"])
        rules.set = fields(object["set"])
        return rules
    }

    private static func fields(_ cursor: YAMLCursor?) -> [RequestRules.Field] {
        guard let entries = cursor?.entries("a mapping from field names to values") else { return [] }
        return entries.compactMap { name, value in
            YAMLToJSON.text(value).map { RequestRules.Field(name: name, json: $0) }
        }
    }

    private static func readUsage(_ cursor: YAMLCursor) -> UsageRules {
        var rules = UsageRules()
        let paths = ["cached_tokens", "cache_write_tokens", "reasoning_tokens"]
        guard let object = cursor.object(paths + ["cached_inside_prompt", "reasoning_inside_completion", "stream_option"]) else {
            return rules
        }
        rules.cachedTokens = object["cached_tokens"]?.string("a dotted path")
        rules.cacheWriteTokens = object["cache_write_tokens"]?.string("a dotted path")
        rules.reasoningTokens = object["reasoning_tokens"]?.string("a dotted path")
        rules.cachedInsidePrompt = object["cached_inside_prompt"]?.boolean()
        rules.reasoningInsideCompletion = object["reasoning_inside_completion"]?.boolean()
        rules.streamUsageOption = object["stream_option"]?.boolean()
        return rules
    }

    private static func readCatalogue(_ cursor: YAMLCursor) -> CatalogueRules {
        var rules = CatalogueRules()
        guard let object = cursor.object(["refresh", "price_list"]) else { return rules }
        if let refresh = object["refresh"].flatMap(ModelsKeys.interval.read), refresh > .zero { rules.refresh = refresh }
        if let names = object["price_list"]?.list("a list of the vendor's names in LiteLLM's price list") {
            rules.priceListNames = names.compactMap { $0.string("a value of litellm_provider") }
        }
        return rules
    }

    private static func readErrorRule(_ cursor: YAMLCursor) -> ErrorRule? {
        guard let object = cursor.object(["status", "body_contains", "code", "kind"]),
            let kind = object.require("kind")?.choice(FailureKind.self)
        else { return nil }
        let rule = ErrorRule(
            status: object["status"]?.integer(100...599).map(Int.init), bodyContains: object["body_contains"]?.string(),
            code: object["code"]?.string(), kind: kind)
        if rule.status == nil && rule.bodyContains == nil && rule.code == nil {
            cursor.error("a rule needs at least one of status, body_contains, code")
        }
        return rule
    }

    private static func readModels(_ list: [YAMLCursor]) -> [ProviderModel] {
        var seen: Set<String> = []
        return list.compactMap { cursor in
            let keys = [
                "id", "display_name", "description", "context_length", "max_output_tokens", "endpoints", "price",
                "reasoning",
            ]
            guard let object = cursor.object(keys), let id = object.require("id").flatMap(CommonSections.modelName) else {
                return nil
            }
            if !seen.insert(id).inserted { cursor.error("the model \(id) is listed twice") }
            var model = ProviderModel(id: id)
            model.displayName = object["display_name"]?.string()
            model.description = object["description"]?.string("text", allowEmpty: true)
            model.contextLength = object["context_length"]?.integer(1...1_000_000_000)
            model.maxOutputTokens = object["max_output_tokens"]?.integer(1...1_000_000_000)
            model.price = object["price"].flatMap(PriceSection.read)
            model.reasoning = object["reasoning"]?.boolean()
            if let endpoints = object["endpoints"]?.list("a list of endpoints") {
                model.endpoints = Set(endpoints.compactMap { $0.choice(Endpoint.self) })
            }
            return model
        }
    }
}

/// YAML values as JSON text; numbers keep their digits.
enum YAMLToJSON {
    static func text(_ cursor: YAMLCursor) -> String? {
        switch cursor.node {
        case .scalar:
            guard case .value(let scalar) = cursor.scalar("a value") else { return nil }
            if scalar.isNull { return "null" }
            if scalar.isBoolean { return scalar.text.lowercased() }
            if scalar.isNumber, (try? JSONValue(parsing: ByteBuffer(string: scalar.text))) != nil { return scalar.text }
            return JSONValue.string(scalar.text).text
        case .sequence: return cursor.list("a list").map { "[" + $0.compactMap(text).joined(separator: ",") + "]" }
        case .mapping:
            return cursor.entries("a mapping").map { entries in
                let members = entries.compactMap { name, value in text(value).map { JSONValue.string(name).text + ":" + $0 } }
                return "{" + members.joined(separator: ",") + "}"
            }
        default: return nil
        }
    }
}
