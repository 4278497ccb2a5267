import RouterCore

/// A key of a configuration file, declared once: how it is read, its bounds, its default, and its meaning. The reader and
/// docs/configuration.md both use the declaration.
struct ConfigKey<Root>: Sendable {
    typealias Path<Value> = any WritableKeyPath<Root, Value> & Sendable

    let name: String
    private(set) var isRequired = false
    let read: @Sendable (_ value: YAMLCursor, _ root: inout Root) -> Void
    /// The documentation of the key, and of the keys in it.
    /// - Parameters: the key's full name, and the values that apply when the file does not set them.
    let rows: @Sendable (_ path: String, _ defaults: Root) -> [ConfigRow]

    var required: ConfigKey {
        var key = self
        key.isRequired = true
        return key
    }
}

/// A row of the table in docs/configuration.md.
struct ConfigRow: Sendable {
    /// `server.sessions.idle`
    var path: String
    /// The type, with bounds and unit.
    var type: String
    /// The default; empty = none.
    var standard: String
    var meaning: String

    var markdown: String {
        let standard = standard.isEmpty ? "" : standard.hasPrefix("none") || standard.contains(" ") ? standard : "`\(standard)`"
        return "| `\(path)` | \(type) | \(standard) | \(meaning) |"
    }
}

/// The keys of one mapping.
struct ConfigSection<Root>: Sendable {
    let keys: [ConfigKey<Root>]

    init(_ keys: [ConfigKey<Root>]) { self.keys = keys }

    /// Reports unknown keys and invalid values; an invalid value leaves the default unchanged.
    func read(_ cursor: YAMLCursor, into root: inout Root) {
        guard let object = cursor.object(keys.map(\.name)) else { return }
        for key in keys {
            guard let value = key.isRequired ? object.require(key.name) : object[key.name] else { continue }
            key.read(value, &root)
        }
    }

    func rows(_ prefix: String, _ defaults: Root) -> [ConfigRow] {
        keys.flatMap { $0.rows(prefix.isEmpty ? $0.name : "\(prefix).\($0.name)", defaults) }
    }
}

// MARK: Kinds of values

extension ConfigKey {
    /// A value of any kind.
    /// - Parameters:
    ///   - standard: the default in words.
    ///   - read: returns nil after reporting an error.
    static func value<Value>(
        _ name: String, _ path: Path<Value>, type: String, standard: @escaping @Sendable (Value) -> String, _ meaning: String,
        read: @escaping @Sendable (YAMLCursor) -> Value?
    ) -> ConfigKey {
        ConfigKey(name: name) { cursor, root in
            if let value = read(cursor) { root[keyPath: path] = value }
        } rows: { whole, defaults in
            [ConfigRow(path: whole, type: type, standard: standard(defaults[keyPath: path]), meaning: meaning)]
        }
    }

    /// - Parameter unit: the unit of the number, such as `bytes`.
    static func integer<Value: BinaryInteger & Sendable>(
        _ name: String, _ path: Path<Value>, _ range: ClosedRange<Int64>, unit: String = "number", _ meaning: String
    ) -> ConfigKey {
        value(name, path, type: "\(unit), \(range.lowerBound) to \(range.upperBound)", standard: { "\($0)" }, meaning) {
            $0.integer(range).map { Value($0) }
        }
    }

    static func boolean(_ name: String, _ path: Path<Bool>, _ meaning: String) -> ConfigKey {
        value(name, path, type: "boolean", standard: { "\($0)" }, meaning) { $0.boolean() }
    }

    static func duration(_ name: String, _ path: Path<Duration>, within bounds: DurationBounds = .init(), _ meaning: String) -> ConfigKey {
        value(name, path, type: bounds.type, standard: { DurationText.text($0) }, meaning, read: bounds.read)
    }

    static func choice<Value: RawRepresentable & Sendable>(
        _ name: String, _ path: Path<Value>, among values: [Value], _ meaning: String
    ) -> ConfigKey where Value.RawValue == String {
        value(
            name, path, type: values.map { "`\($0.rawValue)`" }.joined(separator: ", "), standard: { $0.rawValue }, meaning
        ) { $0.choice(among: values) }
    }

    static func choice<Value: RawRepresentable & CaseIterable & Sendable>(
        _ name: String, _ path: Path<Value>, _ meaning: String
    ) -> ConfigKey where Value.RawValue == String { choice(name, path, among: Array(Value.allCases), meaning) }

    /// A mapping with keys of its own.
    static func section<Value>(_ name: String, _ path: Path<Value>, _ section: ConfigSection<Value>) -> ConfigKey {
        ConfigKey(name: name) { cursor, root in
            section.read(cursor, into: &root[keyPath: path])
        } rows: { whole, defaults in
            section.rows(whole, defaults[keyPath: path])
        }
    }
}

extension ConfigKey {
    /// A mapping whose keys are stored in the same object as the surrounding keys.
    static func group(_ name: String, _ section: ConfigSection<Root>) -> ConfigKey {
        ConfigKey(name: name) { cursor, root in
            section.read(cursor, into: &root)
        } rows: {
            section.rows($0, $1)
        }
    }
}

/// The permitted range of a duration.
struct DurationBounds: Sendable {
    var lower: Duration?
    var upper: Duration?
    /// The meaning of `0s`; nil = it is refused.
    var zero: String?

    /// A year: a larger value is a typing error.
    static let year = Duration.seconds(366 * 86_400)

    private var range: String {
        switch (lower, upper) {
        case (nil, nil): ""
        case (let low?, nil): " from \(DurationText.text(low))"
        case (nil, let high?): " up to \(DurationText.text(high))"
        case (let low?, let high?): " from \(DurationText.text(low)) to \(DurationText.text(high))"
        }
    }

    var type: String { "duration" + range + (zero.map { "; `0s` = \($0)" } ?? "") }

    @Sendable func read(_ cursor: YAMLCursor) -> Duration? {
        guard let value = cursor.duration(allowsZero: zero != nil) else { return nil }
        if value == .zero { return value }
        guard value >= lower ?? value, value <= upper ?? value else {
            cursor.mismatch("a duration" + range + (zero.map { ", or 0s for \($0)" } ?? ""))
            return nil
        }
        return value
    }
}

extension DurationText {
    /// Formats a duration in the largest unit that divides it.
    static func text(_ duration: Duration) -> String {
        let milliseconds = Int64(duration / .milliseconds(1))
        for (unit, size) in [("h", Int64(3_600_000)), ("m", 60_000), ("s", 1_000)] where milliseconds % size == 0 && milliseconds > 0 {
            return "\(milliseconds / size)\(unit)"
        }
        return milliseconds == 0 ? "0s" : "\(milliseconds)ms"
    }
}
