import RouterCore

/// A part of a request with the path to it, and the checks that the rules of all vendors are made of.
struct CheckedJSON {
    let value: JSONValue
    /// For messages, such as `messages[1].content[0]`.
    let path: String

    init(_ value: JSONValue, path: String = "") {
        self.value = value
        self.path = path
    }

    func refused(_ reason: String) -> VendorRefusal { VendorRefusal(message: path.isEmpty ? reason : "\(path): \(reason)") }

    private func below(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// - Throws: unless this is an object with no other members than these.
    func members(_ known: Set<String>) throws(VendorRefusal) {
        guard case .object(let members) = value else { throw refused("expected an object") }
        if let other = members.first(where: { !known.contains($0.name) }) { throw refused("unknown field '\(other.name)'") }
    }

    /// The member of this name, unless it is absent or null.
    func member(_ name: String) -> CheckedJSON? {
        guard let member = value[name], !member.isNull else { return nil }
        return CheckedJSON(member, path: below(name))
    }

    func required(_ name: String) throws(VendorRefusal) -> CheckedJSON {
        guard let member = member(name) else { throw refused("'\(name)' is missing") }
        return member
    }

    func string() throws(VendorRefusal) -> String {
        guard let text = value.stringValue else { throw refused("expected a string") }
        return text
    }

    func number() throws(VendorRefusal) -> Int64 {
        guard let number = value.integerValue else { throw refused("expected a whole number") }
        return number
    }

    func elements() throws(VendorRefusal) -> [CheckedJSON] {
        guard let elements = value.arrayValue else { throw refused("expected an array") }
        return elements.enumerated().map { CheckedJSON($0.element, path: "\(path)[\($0.offset)]") }
    }

    @discardableResult
    func oneOf(_ allowed: Set<String>) throws(VendorRefusal) -> String {
        let text = try string()
        guard allowed.contains(text) else { throw refused("'\(text)' is not one of \(allowed.sorted().joined(separator: ", "))") }
        return text
    }

    /// A JSON schema of a tool's arguments.
    func schema() throws(VendorRefusal) {
        guard case .object = value else { throw refused("expected a JSON schema") }
        if let type = value["type"]?.stringValue, type.lowercased() != "object" { throw refused("a tool's schema is of type object") }
    }

    /// A name of a tool: letters, digits, `_` and `-`, at most this many.
    @discardableResult
    func toolName(_ limit: Int) throws(VendorRefusal) -> String {
        let name = try string()
        let isPlain = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain, (1...limit).contains(name.utf8.count) else { throw refused("'\(name)' is not a name of a tool") }
        return name
    }
}

/// A refusal that a vendor answers with status 400.
struct VendorRefusal: Error { var message: String }
