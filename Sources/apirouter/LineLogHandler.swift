import CPlatform
import Foundation
import Logging
import RouterCore
import Synchronization

/// One line per record on standard error, as text or JSON. Control characters are escaped, so that what a client
/// sends cannot forge a line. There is a line for each request, so a line is made without a detour and written with one call.
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
        var all = event.metadata ?? [:]
        if !metadata.isEmpty { all = metadata.merging(all) { _, new in new } }
        let sorted = all.sorted { $0.key < $1.key }
        var line = isJSON ? json(event.level, "\(event.message)", sorted) : text(event.level, "\(event.message)", sorted)
        line.withUTF8 { bytes in
            var sent = 0
            // A reader that is slow may take a part only; one that is gone takes nothing, and then there is nobody to tell.
            while sent < bytes.count, let start = bytes.baseAddress {
                let written = write(STDERR_FILENO, start + sent, bytes.count - sent)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return }
                sent += written
            }
        }
    }

    private func text(_ level: Logger.Level, _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = LogClock.timeOfDay()
        line.reserveCapacity(256)
        line += " "
        line += level.rawValue
        line += " "
        line += escaped(message)
        for (key, value) in metadata {
            line += " "
            line += key
            line += "="
            line += quoted("\(value)")
        }
        line += "\n"
        return line
    }

    private func json(_ level: Logger.Level, _ message: String, _ metadata: [(key: String, value: Logger.MetadataValue)]) -> String {
        var members: [JSONValue.Member] = [
            .init("time", .string(LogClock.timestamp())), .init("level", .string(level.rawValue)),
            .init("message", .string(message)),
        ]
        for (key, value) in metadata { members.append(.init(key, .string("\(value)"))) }
        return JSONValue.object(members).text + "\n"
    }

    private func quoted(_ text: String) -> String {
        text.utf8.contains(where: { $0 == 0x20 || $0 == 0x22 || $0 == 0x3D }) || text.isEmpty
            ? JSONValue.string(text).text : escaped(text)
    }

    private func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
        return String(JSONValue.string(text).text.dropFirst().dropLast())
    }
}

/// The time as lines of the log show it, UTC.
private enum LogClock {
    /// The last second that was asked for: lines come many to the second.
    private static let cache = Mutex<(second: Int64, date: String, time: String)>((.min, "", ""))

    /// `12:16:29.655`
    static func timeOfDay() -> String {
        let (time, millisecond) = read()
        return time.time + fraction(millisecond)
    }

    /// `2026-11-25T12:16:29.655Z`
    static func timestamp() -> String {
        let (time, millisecond) = read()
        return time.date + "T" + time.time + fraction(millisecond) + "Z"
    }

    private static func fraction(_ millisecond: Int) -> String {
        (millisecond < 10 ? ".00" : millisecond < 100 ? ".0" : ".") + String(millisecond)
    }

    private static func read() -> (time: (date: String, time: String), millisecond: Int) {
        let (second, nanoseconds) = apir_wall_nanoseconds().quotientAndRemainder(dividingBy: 1_000_000_000)
        let time = cache.withLock { cache in
            if cache.second != second {
                let date = CalendarDate(unixSeconds: second)
                let rest = date.secondsIntoDay(second)
                func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
                cache = (second, "\(date)", "\(two(rest / 3_600)):\(two(rest / 60 % 60)):\(two(rest % 60))")
            }
            return (cache.date, cache.time)
        }
        return (time, Int(nanoseconds / 1_000_000))
    }
}
