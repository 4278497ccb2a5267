import HTTPTypes
import RouterCore

/// Reads how long a vendor wants to be left alone.
enum RetryAfter {
    /// Longer wishes are cut; health clamps further.
    private static let longest: Int64 = 86_400

    /// `retry-after-ms`, `Retry-After` (seconds, or an HTTP date: RFC 9110, section 5.6.7), and where the vendor has it
    /// `X-RateLimit-Reset` (Unix milliseconds).
    /// - Parameter now: Unix seconds.
    static func duration(_ headers: HTTPFields, now: Int64, readsReset: Bool = false) -> Duration? {
        if let text = value("retry-after-ms", headers), let milliseconds = wholeNumber(text) { return clamped(milliseconds) }
        if let text = value("retry-after", headers) {
            if let wait = duration(seconds: text) { return wait }
            if let date = unixSeconds(ofHTTPDate: text) { return clamped((date - now) * 1000) }
        }
        if readsReset, let text = value("x-ratelimit-reset", headers), let milliseconds = wholeNumber(text),
            milliseconds > 1_000_000_000_000
        {
            return clamped(milliseconds - now * 1000)
        }
        return nil
    }

    /// `3`, `0.5`: some vendors send fractions.
    static func duration(seconds text: String) -> Duration? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let whole = wholeNumber(first) else { return nil }
        guard parts.count == 2 else { return clamped(whole * 1000) }
        guard wholeNumber(parts[1]) != nil, var milliseconds = wholeNumber(parts[1].prefix(3)) else { return nil }
        for _ in parts[1].prefix(3).utf8.count..<3 { milliseconds *= 10 }
        return clamped(whole * 1000 + milliseconds)
    }

    private static func clamped(_ milliseconds: Int64) -> Duration {
        .milliseconds(min(max(0, milliseconds), longest * 1000))
    }

    private static func value(_ name: String, _ headers: HTTPFields) -> String? {
        HTTPField.Name(name).flatMap { headers[$0] }
    }

    /// Digits only; a figure of more than fifteen counts as the largest of them.
    private static func wholeNumber(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return text.utf8.count > 15 ? 999_999_999_999_999 : Int64(text)
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
        return CalendarDate.days(year: year, month: Int64(index + 1), day: day) * 86_400 + clock[0] * 3_600 + clock[1] * 60 + clock[2]
    }
}
