/// The values that a field may have: in words for people, and as codes for programs and translations.
struct Expected: Sendable, Hashable, ExpressibleByStringInterpolation {
    /// As the end of a sentence: `a whole number from 1 to 100`.
    var words: String
    /// The allowed values where they are few; else a kind (`string`, `integer`, `array`, `url`, …) and its bounds (`min:1`, `max:100`,
    /// `max_bytes:200`, `max_items:50`, `not_empty`). Empty = those of the field's description.
    var codes: [String]

    init(_ words: String, codes: [String] = []) {
        self.words = words
        self.codes = codes
    }

    init(stringLiteral words: String) { self.init(words) }

    static func oneOf(_ values: [String]) -> Expected {
        Expected("one of " + values.joined(separator: ", "), codes: values)
    }

    static func oneOf<Value: RawRepresentable & CaseIterable>(_ type: Value.Type) -> Expected where Value.RawValue == String {
        oneOf(type.allCases.map(\.rawValue))
    }

    static func integer(_ range: ClosedRange<Int64>) -> Expected {
        Expected("a whole number from \(range.lowerBound) to \(range.upperBound)", codes: APIField.Kind.integer(range).codes)
    }
}

extension APIField.Kind {
    /// As in ``Expected/codes``.
    var codes: [String] {
        switch self {
        case .text(let most): ["string"] + (most.map { ["max_bytes:\($0)"] } ?? [])
        case .choice(let values): values
        case .integer(let range):
            ["integer"] + (range.lowerBound > .min ? ["min:\(range.lowerBound)"] : [])
                + (range.upperBound < .max ? ["max:\(range.upperBound)"] : [])
        case .code(let values): values.map { "\($0.value)" }
        case .time: ["unix_seconds"]
        case .boolean: ["true", "false"]
        case .usd: ["usd"]
        case .price: ["usd_per_unit"]
        case .decimal: ["number"]
        case .list(_, let most): ["array"] + (most.map { ["max_items:\($0)"] } ?? [])
        case .object, .shape: ["object"]
        case .file: ["file"]
        case .any: []
        }
    }
}
