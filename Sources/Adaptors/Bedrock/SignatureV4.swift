import Crypto
import RouterCore

/// AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). The time comes in.
struct SignatureV4 {
    var accessKey: String
    var secret: String
    var region: String
    var service: String

    /// - Parameters:
    ///   - path: as it stands in the URL, percent-encoded once; what is signed is encoded once more, as every service but S3 wants it.
    ///   - headers: names in lower case; `host` and `x-amz-date` among them.
    ///   - seconds: Unix time.
    /// - Returns: the value of `Authorization`.
    func authorization(
        method: String, path: String, query: String = "", headers: [(name: String, value: String)], body: [UInt8], seconds: Int64
    ) -> String {
        let sorted = headers.sorted { $0.name < $1.name }
        let names = sorted.map(\.name).joined(separator: ";")
        let lines = sorted.map { "\($0.name):\(Self.trimmed($0.value))\n" }.joined()
        let canonical = [
            method, Self.encodedAgain(path), query, lines, names, Self.hex(SHA256.hash(data: body)),
        ].joined(separator: "\n")
        let time = Self.time(seconds)
        let scope = "\(time.prefix(8))/\(region)/\(service)/aws4_request"
        let toSign = ["AWS4-HMAC-SHA256", time, scope, Self.hex(SHA256.hash(data: Array(canonical.utf8)))].joined(separator: "\n")
        var key = Array("AWS4\(secret)".utf8)
        for part in [String(time.prefix(8)), region, service, "aws4_request", toSign] {
            key = Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: SymmetricKey(data: key)))
        }
        return "AWS4-HMAC-SHA256 Credential=\(accessKey)/\(scope), SignedHeaders=\(names), Signature=\(Self.hex(key))"
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func trimmed(_ text: String) -> String {
        text.split(separator: " ").joined(separator: " ")
    }

    private static func encodedAgain(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { PercentEncoding.query(String($0)) }.joined(separator: "/")
    }

    /// `20150830T123600Z`.
    static func time(_ seconds: Int64) -> String {
        let date = CalendarDate(unixSeconds: seconds)
        let rest = date.secondsIntoDay(seconds)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(date.year)\(two(date.month))\(two(date.day))T\(two(rest / 3_600))\(two(rest / 60 % 60))\(two(rest % 60))Z"
    }
}
