import Config
import GatewayState
import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore

/// Serves the console's page and its files. All of them are the same for everyone: what a caller may see comes from the management API.
struct ConsolePages: Sendable {
    let web: WebSource
    let snapshots: SnapshotHolder

    /// Scripts and styles only from the gateway itself, and no text that becomes markup (https://www.w3.org/TR/trusted-types/).
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data: blob:",
        "font-src 'self'",
        "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
    ].joined(separator: "; ")

    private static let referrerPolicy = HTTPField.Name("Referrer-Policy")!
    private static let immutable = "public, max-age=31536000, immutable"
    private static let oneDay = "public, max-age=86400"
    static let robots = "User-agent: *\nDisallow: /console\nDisallow: /api/\n"

    /// The page, at each of its addresses.
    func shell(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let language = PageLanguage(
            chosen: request.cookies[PageLanguage.cookieName]?.value, accepted: request.headers[.acceptLanguage])
        guard let shell = try folder().shell(language) else { throw Self.notFound }
        var headers = HTTPFields()
        headers[.contentSecurityPolicy] = Self.policy
        headers[Self.referrerPolicy] = "same-origin"
        headers[.cacheControl] = "no-cache"
        headers[.vary] = "Accept-Encoding, Accept-Language, Cookie"
        headers[.eTag] = shell.eTag
        if request.knows(eTag: shell.eTag) { return Response(status: .notModified, headers: headers) }
        return answer(shell.file, headers, request)
    }

    /// `/assets/HASH/PATH`. Another hash is that of an earlier or later version of the page, whose files must not be mixed with these.
    func asset(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let folder = try folder()
        let parts = request.uri.path.dropFirst("/assets/".count).split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == folder.hash, let file = folder.files[String(parts[1])] else { throw Self.notFound }
        return answer(file, [.cacheControl: Self.immutable, .vary: "Accept-Encoding"], request)
    }

    func icon(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let files = try folder().files
        guard let icon = files["favicon.ico"] ?? files["icon.svg"] ?? files["favicon.svg"] else { throw Self.notFound }
        return answer(icon, [.cacheControl: Self.oneDay, .vary: "Accept-Encoding"], request)
    }

    func robots(_ request: Request, _ context: GatewayContext) async throws -> Response {
        _ = try folder()
        let file = WebFolder.File(type: "text/plain; charset=utf-8", bytes: ByteBuffer(string: Self.robots))
        return answer(file, [.cacheControl: Self.oneDay], request)
    }

    private static let notFound = ManagementError.notFound("path")

    /// - Throws: ``ManagementError`` 404 where no console is served.
    private func folder() throws -> WebFolder {
        guard snapshots.snapshot.configuration.console.isEnabled, let folder = web.current else { throw Self.notFound }
        return folder
    }

    private func answer(_ file: WebFolder.File, _ headers: HTTPFields, _ request: Request) -> Response {
        var headers = headers
        headers[.contentType] = file.type
        var bytes = file.bytes
        if let gzip = file.gzip, request.acceptsGzip {
            headers[.contentEncoding] = "gzip"
            bytes = gzip
        }
        let response = Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: bytes))
        return request.method == .head ? response.createHeadResponse() : response
    }
}

extension Request {
    /// Whether the client has the version with this tag; a weak comparison, as RFC 9110 (13.1.2) requires.
    func knows(eTag: String) -> Bool {
        func strong(_ tag: Substring) -> Substring { tag.hasPrefix("W/") ? tag.dropFirst(2) : tag }
        let wanted = strong(eTag[...])
        return headers[values: .ifNoneMatch].flatMap { $0.split(separator: ",") }.contains { tag in
            let tag = strong(tag.drop { $0 == " " })
            return tag == "*" || tag == wanted
        }
    }
}
