import HTTPTypes
import RouterCore

/// Reads how long a vendor wants to be left alone.
enum RetryAfter {
    /// Longer wishes are cut; health clamps further.
    private static let longest: Int64 = 86_400

    /// `retry-after-ms`, `Retry-After` (seconds, or an HTTP date: RFC 9110, section 5.6.7), `X-RateLimit-Reset` (Unix milliseconds, OpenRouter).
    /// - Parameter now: Unix seconds.
    static func duration(_ headers: HTTPFields, now: Int64) -> Duration? {
        if let text = value("retry-after-ms", headers), let milliseconds = Int64(text), milliseconds >= 0 {
            return .milliseconds(min(milliseconds, longest * 1000))
        }
        if let text = value("retry-after", headers) {
            if let milliseconds = millisecondsOfSeconds(text) { return .milliseconds(min(milliseconds, longest * 1000)) }
            if let date = unixSeconds(ofHTTPDate: text) { return .seconds(min(max(0, date - now), longest)) }
        }
        if let text = value("x-ratelimit-reset", headers), let milliseconds = Int64(text), milliseconds > 1_000_000_000_000 {
            return .milliseconds(min(max(0, milliseconds - now * 1000), longest * 1000))
        }
        return nil
    }

    private static func value(_ name: String, _ headers: HTTPFields) -> String? {
        HTTPField.Name(name).flatMap { headers[$0] }
    }

    /// `3`, `0.5`: some vendors send fractions.
    private static func millisecondsOfSeconds(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Int64(parts[0]), whole >= 0, whole < 1_000_000_000 else { return nil }
        guard parts.count == 2 else { return whole * 1000 }
        let digits = String(parts[1].prefix(3))
        guard let fraction = Int64(digits), fraction >= 0, !digits.isEmpty else { return nil }
        var milliseconds = fraction
        for _ in digits.utf8.count..<3 { milliseconds *= 10 }
        return whole * 1000 + milliseconds
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
    static func unixSeconds(ofHTTPDate text: String) -> Int64? {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == "," || $0 == "-" }).map(String.init)
        guard parts.count >= 5 else { return nil }
        let isASCTime = Int64(parts[1]) == nil
        let day = isASCTime ? parts[2] : parts[1]
        let month = isASCTime ? parts[1] : parts[2]
        let year = isASCTime ? parts[4] : parts[3]
        let time = isASCTime ? parts[3] : parts[4]
        let clock = time.split(separator: ":").compactMap { Int64($0) }
        guard let day = Int64(day), (1...31).contains(day), let index = months.firstIndex(of: month),
            var year = Int64(year), clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]),
            (0...60).contains(clock[2])
        else { return nil }
        if year < 100 { year += year < 70 ? 2000 : 1900 }
        guard (1970...9999).contains(year) else { return nil }
        return daysSinceEpoch(year, Int64(index + 1), day) * 86_400 + clock[0] * 3_600 + clock[1] * 60 + clock[2]
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar.
    private static func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = y / 400
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
