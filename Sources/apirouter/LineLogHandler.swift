import Foundation
import Logging
import RouterCore
import NIOCore

/// One line per record on standard error, as text or JSON. Control characters are escaped, so that what a client
/// sends cannot forge a line.
struct LineLogHandler: LogHandler {
    let label: String
    let isJSON: Bool
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    init(label: String, isJSON: Bool) {
        self.label = label
        self.isJSON = isJSON
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let level = event.level
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
            .sorted { $0.key < $1.key }
        let line = isJSON ? json(level, "\(event.message)", all) : text(level, "\(event.message)", all)
        FileHandle.standardError.write(Data(line.utf8))
    }

    private func text(_ level: Logger.Level, _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = "\(timestamp()) \(level.rawValue) \(escaped(message))"
        for (key, value) in metadata { line += " \(key)=\(quoted("\(value)"))" }
        return line + "\n"
    }

    private func json(_ level: Logger.Level, _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var members: [JSONValue.Member] = [
            .init("time", .string(timestamp())), .init("level", .string(level.rawValue)),
            .init("message", .string(message)),
        ]
        for (key, value) in metadata { members.append(.init(key, .string("\(value)"))) }
        return JSONValue.object(members).text + "\n"
    }

    private func timestamp() -> String { Date().formatted(.iso8601.time(includingFractionalSeconds: true)) }

    private func quoted(_ text: String) -> String {
        text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) || text.isEmpty
            ? JSONValue.string(text).text : escaped(text)
    }

    private func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return String(JSONValue.string(text).text.dropFirst().dropLast())
    }
}
