import Synchronization

/// The `Date` header (RFC 9110 section 6.6.1), worked out once a second.
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
        let time = CalendarTime(unixSeconds)
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        // 1 January 1970 was a Thursday.
        let weekday = days[Int(((unixSeconds.quotientFloored(86_400) % 7) + 7) % 7)]
        return "\(weekday), \(two(time.day)) \(months[Int(time.month) - 1]) \(time.year) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }
}

/// A Unix second in the proleptic Gregorian calendar, UTC.
struct CalendarTime: Sendable {
    var year: Int64
    var month: Int64
    var day: Int64
    var hour: Int64
    var minute: Int64
    var second: Int64

    init(_ unixSeconds: Int64) {
        let days = unixSeconds.quotientFloored(86_400)
        let rest = unixSeconds - days * 86_400
        (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60)
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days. Years begin on 1 March.
        let shifted = days + 719_468
        let era = shifted.quotientFloored(146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}

extension Int64 {
    fileprivate func quotientFloored(_ divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
