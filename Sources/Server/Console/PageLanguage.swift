/// The languages of the console's page.
enum PageLanguage: String, Sendable, CaseIterable {
    case english = "en"
    case chinese = "zh"

    /// The value of `<html lang>`.
    var tag: String { self == .chinese ? "zh-CN" : "en" }

    /// The cookie in which the page keeps the reader's choice.
    static let cookieName = "apirouter_lang"

    /// Maximum number of languages of `Accept-Language` that are looked at; browsers send a handful.
    private static let maximumLanguages = 20

    /// - Parameters:
    ///   - chosen: the value of the cookie.
    ///   - accepted: the value of `Accept-Language` (RFC 9110, 12.5.4).
    init(chosen: String?, accepted: String?) {
        if let chosen, let language = PageLanguage(rawValue: chosen) {
            self = language
            return
        }
        var best: (language: PageLanguage, quality: Int)?
        for range in (accepted ?? "").prefix(1_024).split(separator: ",").prefix(Self.maximumLanguages) {
            let parts = range.split(separator: ";")
            let name = parts.first.map { $0.filter { $0 != " " }.lowercased() } ?? ""
            guard let language = PageLanguage(rawValue: String(name.prefix { $0 != "-" })) else { continue }
            let quality = Self.quality(parts.dropFirst())
            if quality > best?.quality ?? 0 { best = (language, quality) }
        }
        self = best?.language ?? .english
    }

    /// The weight of a range in thousandths.
    private static func quality(_ parameters: ArraySlice<Substring>) -> Int {
        for parameter in parameters {
            let text = parameter.filter { $0 != " " }.lowercased()
            guard text.hasPrefix("q=") else { continue }
            let digits = text.dropFirst(2).split(separator: ".", omittingEmptySubsequences: false)
            guard let whole = digits.first.flatMap({ Int($0) }), (0...1).contains(whole) else { return 0 }
            let fraction = digits.count > 1 ? Int((digits[1] + "000").prefix(3)) ?? 0 : 0
            return min(1_000, whole * 1_000 + fraction)
        }
        return 1_000
    }
}
