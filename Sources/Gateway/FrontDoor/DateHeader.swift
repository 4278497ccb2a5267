import RouterCore
import Synchronization

/// The `Date` header (RFC 9110 section 6.6.1), computed once a second.
final class DateHeader: Sendable {
    private let cache = Mutex<(second: Int64, text: String)>((.min, ""))

    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    func text(_ unixSeconds: Int64) -> String {
        cache.withLock { cache in
            if cache.second != unixSeconds { cache = (unixSeconds, Self.format(unixSeconds)) }
            return cache.text
        }
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func format(_ unixSeconds: Int64) -> String {
        let date = CalendarDate(unixSeconds: unixSeconds)
        let time = date.secondsIntoDay(unixSeconds)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        // 1 January 1970 was a Thursday.
        let weekday = days[Int(((date.startOfDay / 86_400 % 7) + 7) % 7)]
        return "\(weekday), \(two(date.day)) \(months[Int(date.month) - 1]) \(date.year) "
            + "\(two(time / 3_600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }
}
