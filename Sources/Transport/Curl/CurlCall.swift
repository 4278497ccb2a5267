import CLibcurl
import HTTPTypes
import NIOCore
import RouterCore

/// One easy handle in use for one transfer. Confined to the I/O thread.
final class CurlCall {
    let transfer: Transfer
    let easy: OpaquePointer
    /// Distinguishes a call from a later one at the same address.
    let serial: Int
    private let startedAt: Int64
    /// Sets a timer; provided by the loop, and called when the head has arrived and the idle limit begins to count.
    var arm: (Int64) -> Void = { _ in }
    private var lastActivity: Int64
    private var isHeadDelivered = false
    private var headerBytes = 0
    private var headerLines: [String] = []
    private var failureInCallback: TransportFailure?
    /// libcurl has begun to send the request.
    private var hasBegun = false
    private var list: UnsafeMutablePointer<curl_slist>?
    /// Keeps the request body's storage alive and in place while libcurl reads it.
    private var body: ByteBuffer?

    init(transfer: Transfer, easy: OpaquePointer, now: Int64) {
        self.transfer = transfer
        self.easy = easy
        startedAt = now
        lastActivity = now
        serial = Int(now)
    }

    private var handle: UnsafeMutableRawPointer { UnsafeMutableRawPointer(easy) }

    // MARK: Set-up

    /// - Returns: a failure when libcurl refuses an option.
    func configure(trustedCertificates: String?) -> TransportFailure? {
        let request = transfer.request
        let options = transfer.options
        var refused: CURLcode = CURLE_OK
        func check(_ code: CURLcode) { if code != CURLE_OK && refused == CURLE_OK { refused = code } }
        func long(_ option: CURLoption, _ value: Int) { check(apir_easy_set_long(handle, option, value)) }
        func text(_ option: CURLoption, _ value: String) { check(apir_easy_set_text(handle, option, value)) }

        text(CURLOPT_URL, request.url)
        text(CURLOPT_PROTOCOLS_STR, "http,https")
        long(CURLOPT_FOLLOWLOCATION, 0)
        long(CURLOPT_NOSIGNAL, 1)
        long(CURLOPT_TCP_NODELAY, 1)
        long(CURLOPT_TCP_KEEPALIVE, 1)
        long(CURLOPT_SSL_VERIFYPEER, 1)
        long(CURLOPT_SSL_VERIFYHOST, 2)
        if let trustedCertificates { text(CURLOPT_CAINFO, trustedCertificates) }
        long(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
        // Always set: otherwise libcurl would take a proxy from the environment.
        text(CURLOPT_PROXY, options.proxy?.reveal() ?? "")
        text(CURLOPT_NOPROXY, "")
        long(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options.timeouts.connect))
        // Content codings are decoded even though none is requested: some vendors compress regardless.
        text(CURLOPT_ACCEPT_ENCODING, "gzip, deflate")
        long(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        long(CURLOPT_BUFFERSIZE, 64 * 1024)
        configureMethod(request, check)
        for line in headerLines(of: request) { list = curl_slist_append(list, line) }
        check(apir_easy_set_list(handle, CURLOPT_HTTPHEADER, list))

        let context = Unmanaged.passUnretained(self).toOpaque()
        check(
            apir_easy_set_data_callback(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
                // SAFETY (both callbacks): the call is kept in the loop's table until its handle has been taken out of libcurl.
                let call = Unmanaged<CurlCall>.fromOpaque(context!).takeUnretainedValue()
                return call.header(UnsafeRawBufferPointer(start: data, count: size * count))
            })
        check(apir_easy_set_pointer(handle, CURLOPT_HEADERDATA, context))
        check(
            apir_easy_set_data_callback(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
                let call = Unmanaged<CurlCall>.fromOpaque(context!).takeUnretainedValue()
                return call.bytes(UnsafeRawBufferPointer(start: data, count: size * count))
            })
        check(apir_easy_set_pointer(handle, CURLOPT_WRITEDATA, context))
        check(
            apir_easy_set_request_callback(handle) { context, _, _, _, _ in
                // SAFETY: as above.
                let maySend = Unmanaged<CurlCall>.fromOpaque(context!).takeUnretainedValue().maySend()
                return Int32(maySend ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT)
            })
        check(apir_easy_set_pointer(handle, CURLOPT_PREREQDATA, context))
        if options.needsNewConnection { long(CURLOPT_FRESH_CONNECT, 1) }
        return refused == CURLE_OK ? nil : TransportFailure(.other, "libcurl refused an option: \(refused.rawValue)")
    }

    private func configureMethod(_ request: UpstreamRequest, _ check: (CURLcode) -> Void) {
        if let body = request.body ?? (request.method == .post ? ByteBuffer() : nil) {
            self.body = body
            check(apir_easy_set_long(handle, CURLOPT_POST, 1))
            check(apir_easy_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.readableBytes)))
            // SAFETY: POSTFIELDS is not copied by libcurl. The buffer is kept in `self.body`, which nobody writes to, until `release()`,
            // so its storage neither moves nor goes away while the pointer is in use.
            body.withUnsafeReadableBytes { bytes in
                check(apir_easy_set_pointer(handle, CURLOPT_POSTFIELDS, bytes.baseAddress ?? UnsafeRawPointer(handle)))
            }
        }
        if request.method == .get && request.body == nil {
            check(apir_easy_set_long(handle, CURLOPT_HTTPGET, 1))
        } else if request.method == .head {
            check(apir_easy_set_long(handle, CURLOPT_NOBODY, 1))
        } else if request.method != .post {
            check(apir_easy_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method.rawValue))
        }
    }

    private func headerLines(of request: UpstreamRequest) -> [String] {
        // `Name;` sends an empty header; `Name:` would remove libcurl's own.
        var lines = request.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
        lines.append("Expect:")
        if !request.headers.contains(.acceptEncoding) { lines.append("Accept-Encoding: identity") }
        if !request.headers.contains(.accept) { lines.append("Accept: */*") }
        if request.body != nil, !request.headers.contains(.contentType) { lines.append("Content-Type:") }
        return lines
    }

    /// Called after the handle has been removed from the multi handle.
    func release() {
        curl_slist_free_all(list)
        list = nil
        body = nil
    }

    private func milliseconds(_ duration: Duration) -> Int {
        max(1, Int(clamping: duration.components.seconds) * 1000 + Int(duration.components.attoseconds / 1_000_000_000_000_000))
    }

    // MARK: Callbacks of libcurl

    /// libcurl repeats a request by itself when a kept connection was closed without any byte of a response, and has no option against it.
    /// The vendor may have processed the first one, so only a request with a safe method, or one that was never sent, may be sent again.
    private func maySend() -> Bool {
        defer { hasBegun = true }
        // If bytes of a response have arrived, this is the next step of a proxy's authentication.
        guard hasBegun, headerBytes == 0, !transfer.request.isRepeatable else {
            // The connection is established, through the proxy and with TLS; from here on libcurl may write at any time.
            transfer.isSending()
            return true
        }
        var sent = 0
        apir_easy_get_long(handle, CURLINFO_REQUEST_SIZE, &sent)
        guard sent > 0 else {
            transfer.isSending()
            return true
        }
        failureInCallback = TransportFailure(.closedBeforeHead, "the kept connection was closed", wasKept: true)
        return false
    }

    private func header(_ line: UnsafeRawBufferPointer) -> Int {
        headerBytes += line.count
        if headerBytes > transfer.options.maxHeaderBytes {
            failureInCallback = TransportFailure(.headersTooLarge, "more than \(transfer.options.maxHeaderBytes) bytes")
            return 0
        }
        // Trailers of a chunked body arrive here as well, after the head.
        guard !isHeadDelivered else { return line.count }
        let text = String(decoding: line, as: UTF8.self).trimmingLineEnd
        if text.isEmpty {
            deliverHead()
        } else if text.hasPrefix("HTTP/") {
            headerLines = []
        } else {
            headerLines.append(text)
        }
        return line.count
    }

    private func deliverHead() {
        var status = 0
        apir_easy_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        // 1xx heads precede the final one.
        guard status >= 200 else { return }
        isHeadDelivered = true
        lastActivity = CurlLoop.now()
        var headers = HTTPFields()
        for line in headerLines {
            guard let colon = line.firstIndex(of: ":"), let name = HTTPField.Name(String(line[..<colon])) else { continue }
            headers.append(HTTPField(name: name, value: String(line[line.index(after: colon)...]).trimmingBlanks))
        }
        if let coding = headers[.contentEncoding]?.lowercased(), coding != "identity" {
            // libcurl delivers decoded bytes.
            headers[.contentEncoding] = nil
            headers[.contentLength] = nil
        }
        headerLines = []
        arm(lastActivity + limit(\.idle))
        transfer.deliver(UpstreamHead(status: status, headers: headers))
    }

    private func bytes(_ data: UnsafeRawBufferPointer) -> Int {
        lastActivity = CurlLoop.now()
        switch transfer.deliver(data) {
        case .taken: return data.count
        case .pause: return Int(CURL_WRITEFUNC_PAUSE)
        }
    }

    // MARK: Timers

    enum TimerVerdict {
        case expired(TransportFailure.Kind)
        case again(Int64)
    }

    var firstDeadline: Int64 { startedAt + min(limit(\.firstByte), limit(\.total)) }

    func touched(_ now: Int64) { lastActivity = now }

    /// There is one timer entry per call; the next deadline is computed when it fires, so that activity costs nothing.
    func checkTimers(_ now: Int64) -> TimerVerdict {
        let total = startedAt + limit(\.total)
        if now >= total { return .expired(.totalTimeout) }
        guard isHeadDelivered else {
            let first = startedAt + limit(\.firstByte)
            return now >= first ? .expired(.firstByteTimeout) : .again(min(first, total))
        }
        // A pause of our own does not count as idleness.
        if transfer.isPaused { lastActivity = now }
        let idle = lastActivity + limit(\.idle)
        return now >= idle ? .expired(.idleTimeout) : .again(min(idle, total))
    }

    private func limit(_ path: KeyPath<AttemptTimeouts, Duration>) -> Int64 {
        let duration = transfer.options.timeouts[keyPath: path].components
        let seconds = min(duration.seconds, 1_000_000_000)
        return max(1_000_000, seconds * 1_000_000_000 + duration.attoseconds / 1_000_000_000)
    }

    // MARK: The end

    func outcome(_ code: CURLcode) -> TransportFailure? {
        if let failureInCallback { return failureInCallback }
        guard code != CURLE_OK else {
            return isHeadDelivered ? nil : TransportFailure(.closedBeforeHead, "no response head")
        }
        let words = String(cString: curl_easy_strerror(code))
        return TransportFailure(kind(of: code), words)
    }

    private func kind(of code: CURLcode) -> TransportFailure.Kind {
        switch code {
        case CURLE_COULDNT_RESOLVE_HOST: return .resolve
        case CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY: return .proxy
        case CURLE_COULDNT_CONNECT: return .connect
        case CURLE_OPERATION_TIMEDOUT:
            // libcurl enforces the connect limit only; the other limits are our own timers.
            return .connectTimeout
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_USE_SSL_FAILED:
            return .tls
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR: return isHeadDelivered ? .closedInBody : .closedBeforeHead
        case CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM:
            return isHeadDelivered ? .closedInBody : .closedBeforeHead
        case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR,
            CURLE_URL_MALFORMAT:
            return .protocolViolation
        default: return .other
        }
    }
}

extension String {
    fileprivate var trimmingLineEnd: String {
        var view = Substring(self).utf8
        while let last = view.last, last == 13 || last == 10 { view = view.dropLast() }
        return String(Substring(view))
    }

    fileprivate var trimmingBlanks: String {
        var view = Substring(self).utf8
        while let first = view.first, first == 32 || first == 9 { view = view.dropFirst() }
        while let last = view.last, last == 32 || last == 9 { view = view.dropLast() }
        return String(Substring(view))
    }
}
