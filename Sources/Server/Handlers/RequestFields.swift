import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage

/// The JSON body of a management call, read with exact errors: what was found, what is allowed. The fields and their bounds are those of
/// the route's description; reading any other field is a programming error, which stops the tests.
struct RequestFields {
    private let members: [JSONValue.Member]
    private let declared: [APIField]

    /// The front door has limited the body and passes it on as one buffer, which is not copied.
    private static func body(_ request: Request) async throws -> ByteBuffer {
        var body = ByteBuffer()
        for try await chunk in request.body {
            if body.readableBytes == 0 { body = chunk } else { body.writeImmutableBuffer(chunk) }
        }
        return body
    }

    /// - Throws: ``ManagementError`` 400 for anything but a JSON object with known fields. The front door has limited the body.
    init(_ request: Request, _ description: RouteDescription, hints: [String: String] = [:]) async throws {
        declared = description.bodyFields
        let allowed = declared.map(\.name)
        let body = try await Self.body(request)
        if case .json(_, isOptional: true) = description.body, body.readableBytes == 0 {
            members = []
            return
        }
        let value: JSONValue
        do throws(JSONScanError) {
            value = try JSONValue(parsing: body)
        } catch {
            throw ManagementError.badRequest("the body is not valid JSON: \(error)", code: .invalidJSON)
        }
        guard case .object(let members) = value else {
            throw ManagementError.badRequest("the body must be a JSON object", code: .invalidJSON)
        }
        for member in members where !allowed.contains(member.name) {
            let known = allowed.joined(separator: ", ")
            throw ManagementError.invalid(
                member.name, Expected("one of the fields \(known)", codes: ["absent"]),
                message: hints[member.name] ?? "unknown field '\(member.name)'; allowed: \(known)")
        }
        self.members = members
    }

    /// Names of the given fields, each once, for the audit; never their values.
    var names: [String] { declared.map(\.name).filter { name in members.contains { $0.name == name } } }

    /// nil when absent; an explicit null is returned as `.null`.
    subscript(_ name: String) -> JSONValue? {
        _ = declared.kind(name)
        return members.last { $0.name == name }?.value
    }

    func string(_ name: String) throws -> String? {
        let maximum = declared.textBound(name)
        guard let value = self[name], !value.isNull else { return nil }
        guard let text = value.stringValue else { throw wrong(name, "a string") }
        guard text.utf8.count <= maximum else { throw wrong(name, "a string of at most \(maximum) bytes") }
        // PostgreSQL does not store such strings, and C strings end there.
        guard !text.utf8.contains(0) else { throw wrong(name, "a string without U+0000") }
        return text
    }

    /// One of the values of a type; nil when the field is absent or null.
    func choice<Value: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Value.Type
    ) throws -> Value? where Value.RawValue == String {
        guard let given = self[name], !given.isNull else { return nil }
        guard let value = given.stringValue.flatMap(Value.init) else {
            throw wrong(name, .oneOf(type))
        }
        return value
    }

    func requiredString(_ name: String) throws -> String {
        guard let text = try string(name), !text.isEmpty else {
            throw wrong(name, Expected("a non-empty string", codes: ["string", "not_empty"]))
        }
        return text
    }

    func integer(_ name: String) throws -> Int64? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let number = value.integerValue else { throw wrong(name, "a whole number") }
        return number
    }

    /// A whole number within the declared range.
    func boundedInteger(_ name: String) throws -> Int64? {
        let range = declared.range(name)
        guard let number = try integer(name) else { return nil }
        guard range.contains(number) else { throw wrong(name, .integer(range)) }
        return number
    }

    func requiredInteger(_ name: String) throws -> Int64 {
        guard let number = try integer(name) else { throw wrong(name, "a whole number") }
        return number
    }

    func boolean(_ name: String) throws -> Bool? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let flag = value.boolValue else { throw wrong(name, "true or false") }
        return flag
    }

    func strings(_ name: String) throws -> [String]? {
        let maximum = declared.listBound(name)
        guard let value = self[name], !value.isNull else { return nil }
        guard let list = value.arrayValue, list.count <= maximum, list.allSatisfy({ $0.stringValue.map { !$0.utf8.contains(0) } ?? false })
        else {
            throw wrong(name, "an array of at most \(maximum) strings")
        }
        return list.compactMap(\.stringValue)
    }

    /// USD as a JSON number or as decimal text, exact to the nano-dollar.
    func amount(_ name: String) throws -> NanoUSD {
        guard let value = self[name], let text = value.numberText ?? value.stringValue else {
            throw wrong(name, "an amount in USD")
        }
        guard let amount = try? NanoUSD(usd: text) else { throw wrong(name, "an amount in USD with at most nine decimals") }
        return amount
    }

    /// USD per unit, exact. nil when absent; ``isNull(_:)`` distinguishes an explicit null.
    func price(_ name: String) throws -> FemtoUSD? {
        guard let value = self[name], !value.isNull else { return nil }
        guard let text = value.numberText ?? value.stringValue, let parsed = try? FemtoUSD.parse(usdPerUnit: text),
            parsed.isExact
        else { throw wrong(name, "USD per unit, not negative, with at most fifteen decimals") }
        return parsed.price
    }

    func isNull(_ name: String) -> Bool { self[name]?.isNull == true }

    func wrong(_ name: String, _ expected: Expected) -> ManagementError {
        var allowed = expected
        if allowed.codes.isEmpty { allowed.codes = declared.kind(name).codes }
        return .invalid(
            name, allowed, message: "'\(name)' must be \(expected.words)" + (self[name].map { "; found \(Self.short($0))" } ?? ""))
    }

    private static func short(_ value: JSONValue) -> String {
        let text = value.text
        return text.count > 60 ? String(text.prefix(60)) + "…" : text
    }
}

// Tests run with assertions and stop at a field that is read but not declared this way; a release build continues with a default bound.
extension [APIField] {
    /// The declared kind of the field.
    fileprivate func kind(_ name: String) -> APIField.Kind {
        let field = first { $0.name == name }
        assert(field != nil, "'\(name)' is read and not declared in the route's description")
        return field?.kind ?? .any
    }

    /// Maximum length in bytes.
    fileprivate func textBound(_ name: String) -> Int {
        if case .text(let bound?) = kind(name) { return bound }
        assertionFailure("'\(name)' is read as a text and not declared as one with a bound")
        return 200
    }

    /// Maximum number of elements.
    fileprivate func listBound(_ name: String) -> Int {
        if case .list(.text, let bound?) = kind(name) { return bound }
        assertionFailure("'\(name)' is read as a list of texts and not declared as one with a bound")
        return 200
    }

    fileprivate func range(_ name: String) -> ClosedRange<Int64> {
        switch kind(name) {
        case .integer(let bounds): return bounds
        case .time: return 0 ... .max
        default:
            assertionFailure("'\(name)' is read as a whole number and not declared as one")
            return 0 ... .max
        }
    }
}

/// The query parameters that the route's description declares.
struct QueryFields {
    private let request: Request
    private let declared: [APIField]

    init(_ request: Request, _ description: RouteDescription) {
        self.request = request
        declared = description.query
    }

    func text(_ name: String) -> String? {
        _ = declared.kind(name)
        return request.uri.queryParameters[Substring(name)].map(String.init)
    }

    /// An integer within the declared range.
    func integer(_ name: String) throws -> Int64? {
        let range = declared.range(name)
        guard let text = text(name) else { return nil }
        guard let value = Int64(text), range.contains(value) else {
            throw ManagementError.invalid(name, .integer(range))
        }
        return value
    }

    /// A text to search for, of at most the declared length; nil when the parameter is absent or empty.
    func search(_ name: String) throws -> String? {
        let maximum = declared.textBound(name)
        guard let text = text(name), !text.isEmpty else { return nil }
        // PostgreSQL has no texts with U+0000.
        guard text.utf8.count <= maximum, !text.utf8.contains(0) else {
            throw ManagementError.invalid(name, Expected("a text of at most \(maximum) bytes", codes: declared.kind(name).codes))
        }
        return text
    }

    /// One of the declared numbers; nil when the parameter is absent.
    func code(_ name: String) throws -> Int64? {
        guard case .code(let known) = declared.kind(name), let text = text(name), !text.isEmpty else { return nil }
        guard let value = Int64(text), known.contains(where: { $0.value == value }) else {
            let words = "one of " + known.map { "\($0.value) (\($0.meaning))" }.joined(separator: ", ")
            throw ManagementError.invalid(name, Expected(words, codes: declared.kind(name).codes))
        }
        return value
    }

    /// One of the declared values; nil when the parameter is absent or empty.
    func choice<Value: RawRepresentable & CaseIterable>(
        _ name: String, _ type: Value.Type
    ) throws -> Value? where Value.RawValue == String {
        guard let text = text(name), !text.isEmpty else { return nil }
        guard let value = Value(rawValue: text) else {
            throw ManagementError.invalid(name, .oneOf(type))
        }
        return value
    }

    func page() throws -> PageRequest {
        PageRequest(
            page: Int(try integer("page") ?? 1), size: Int(try integer("page_size") ?? 20))
    }
}

/// The parameter `order` of lists.
enum SortDirection: String, Sendable, CaseIterable {
    case ascending = "asc"
    case descending = "desc"
}

extension GatewayContext {
    /// The user who makes a management call; the access check has ensured that there is one.
    func user() throws -> User {
        guard case .user(let user) = principal else { throw ManagementError(.unauthorized, "not logged in") }
        return user
    }

    /// The row of `audit_log` for a change by the caller.
    /// - Parameters:
    ///   - unixSeconds: now.
    ///   - detail: ids, amounts and names of fields, but no free text that a person has typed.
    func audit(_ action: String, at unixSeconds: Int64, _ detail: [JSONValue.Member] = []) throws -> AuditEntry {
        AuditEntry(actorID: try user().id, action: action, detail: detail, clientIP: clientIP, at: unixSeconds)
    }

    func pathID(_ name: String = "id") throws -> Int64 {
        guard let id = parameters.get(name, as: Int64.self) else {
            throw ManagementError.invalid(
                name, Expected("a whole number", codes: ["integer"]), message: "the \(name) in the path must be a whole number")
        }
        return id
    }
}

/// Translates errors of the stores into errors of the API.
/// - Parameter conflict: the code of a ``StoreError/conflict(_:)``.
func storing<Value>(
    _ what: String, conflict: ManagementCode = .conflict, _ body: () async throws -> Value
) async throws -> Value {
    do {
        return try await body()
    } catch StoreError.notFound {
        throw ManagementError.notFound(what)
    } catch StoreError.duplicate(let column) {
        throw ManagementError(.conflict, "the \(column) is taken", code: column == "username" ? .usernameTaken : .duplicateID)
    } catch StoreError.conflict(let message) {
        throw ManagementError(.conflict, message, code: conflict)
    }
}
