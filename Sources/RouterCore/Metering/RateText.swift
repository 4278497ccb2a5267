/// The format of durations in OpenAI's rate-limit headers: `20ms`, `1s`, `1.5s`, `6m0s`, `1h0m0s`; never finer than a millisecond.
public enum RateText {
    /// Rounded up, so that a client that waits this long has waited long enough.
    public static func duration(_ duration: Duration) -> String {
        let nanoseconds = max(0, duration.wholeNanoseconds)
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let milliseconds = whole + (rest > 0 ? 1 : 0)
        if milliseconds == 0 { return "0s" }
        if milliseconds < 1_000 { return "\(milliseconds)ms" }
        let (seconds, fraction) = milliseconds.quotientAndRemainder(dividingBy: 1_000)
        let (minutes, secondsLeft) = seconds.quotientAndRemainder(dividingBy: 60)
        let (hours, minutesLeft) = minutes.quotientAndRemainder(dividingBy: 60)
        var text = hours > 0 ? "\(hours)h" : ""
        if minutes > 0 { text += "\(minutesLeft)m" }
        return text + "\(secondsLeft)" + decimals(fraction) + "s"
    }

    private static func decimals(_ thousandths: Int64) -> String {
        guard thousandths > 0 else { return "" }
        var digits = String(1_000 + thousandths).dropFirst()
        while digits.last == "0" { digits = digits.dropLast() }
        return "." + digits
    }
}
