import CLibcurl
import CPlatform
import Glibc
import RouterCore

/// The event loop of one I/O thread: epoll for sockets and the wake-up, libcurl's multi handle on top, our own timers beside it. Confined
/// to its thread; no part of it is shared.
final class CurlLoop {
    private let thread: IOThread
    private let configuration: CurlTransport.Configuration
    private let wake: Int32
    private let poll: Int32
    private let multi: OpaquePointer
    /// Running calls by their easy handle.
    private var calls: [OpaquePointer: CurlCall] = [:]
    private var byTransfer: [ObjectIdentifier: CurlCall] = [:]
    /// Easy handles for the next calls; reuse keeps libcurl's per-handle allocations.
    private var spare: [OpaquePointer] = []
    private var curlDeadline: Int64?
    private var timers = TimerHeap()
    private var watched: Set<Int32> = []

    private static let maximumSpare = 256
    private static let maximumEvents = 256

    init(thread: IOThread, configuration: CurlTransport.Configuration, wake: Int32, poll: Int32) {
        self.thread = thread
        self.configuration = configuration
        self.wake = wake
        self.poll = poll
        guard let multi = curl_multi_init() else { fatalError("out of memory in curl_multi_init") }
        self.multi = OpaquePointer(multi)
        let context = Unmanaged.passUnretained(self).toOpaque()
        apir_multi_set_socket_callback(multi) { _, socket, what, context, _ in
            // SAFETY: the loop outlives its multi handle, and libcurl calls back on the loop's own thread only.
            Unmanaged<CurlLoop>.fromOpaque(context!).takeUnretainedValue().watch(socket, Int32(what))
            return 0
        }
        apir_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, context)
        apir_multi_set_timer_callback(multi) { _, milliseconds, context in
            let loop = Unmanaged<CurlLoop>.fromOpaque(context!).takeUnretainedValue()
            loop.curlDeadline = milliseconds < 0 ? nil : CurlLoop.now() + Int64(milliseconds) * 1_000_000
            return 0
        }
        apir_multi_set_pointer(multi, CURLMOPT_TIMERDATA, context)
        apir_multi_set_long(multi, CURLMOPT_MAXCONNECTS, configuration.maxIdleConnections)
        apir_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, configuration.maxConnections)
        apir_multi_set_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
        _ = apir_epoll_set(poll, wake, 0, 1, 0)
    }

    /// Monotonic nanoseconds.
    static func now() -> Int64 { apir_steady_nanoseconds() }

    private var handle: UnsafeMutableRawPointer { UnsafeMutableRawPointer(multi) }

    // MARK: Running

    func run() {
        var ready = [apir_ready](repeating: apir_ready(), count: Self.maximumEvents)
        while true {
            let count = apir_epoll_wait(poll, &ready, Int32(Self.maximumEvents), waitMilliseconds())
            var hasCommands = false
            for index in 0..<Int(max(0, count)) {
                if ready[index].descriptor == wake {
                    hasCommands = true
                    var value: UInt64 = 0
                    _ = read(wake, &value, 8)
                } else {
                    var running: Int32 = 0
                    curl_multi_socket_action(handle, ready[index].descriptor, ready[index].action, &running)
                }
            }
            if hasCommands, !obeyCommands() { return }
            runTimers()
            collectFinished()
        }
    }

    private func waitMilliseconds() -> Int32 {
        let next = [curlDeadline, timers.nextDeadline].compactMap { $0 }.min()
        guard let next else { return -1 }
        // Rounded up, so that a timer is due at the wake-up.
        return Int32(clamping: max(0, (next - Self.now() + 999_999) / 1_000_000))
    }

    private func runTimers() {
        let now = Self.now()
        if let deadline = curlDeadline, deadline <= now {
            curlDeadline = nil
            var running: Int32 = 0
            // The value of the macro CURL_SOCKET_TIMEOUT, which is ((curl_socket_t)-1).
            curl_multi_socket_action(handle, -1, 0, &running)
        }
        while let due = timers.popDue(now) {
            guard let call = byTransfer[due.transfer], call.serial == due.serial else { continue }
            switch call.checkTimers(now) {
            case .expired(let kind): end(call, TransportFailure(kind))
            case .again(let deadline): timers.push(deadline, due.transfer, call.serial)
            }
        }
    }

    /// - Returns: false when the thread is to end.
    private func obeyCommands() -> Bool {
        let (commands, isStopping) = thread.takeCommands()
        for command in commands {
            switch command {
            case .start(let transfer): start(transfer)
            case .resume(let transfer): resume(transfer)
            case .cancel(let transfer):
                if let call = byTransfer[ObjectIdentifier(transfer)] {
                    end(call, TransportFailure(.cancelled))
                } else {
                    transfer.finish(TransportFailure(.cancelled))
                }
            }
        }
        return !isStopping
    }

    // MARK: Calls

    private func start(_ transfer: Transfer) {
        guard !transfer.isCancelled else { return transfer.finish(TransportFailure(.cancelled)) }
        let easy: OpaquePointer
        if let reused = spare.popLast() {
            easy = reused
        } else if let fresh = curl_easy_init() {
            easy = OpaquePointer(fresh)
        } else {
            return transfer.finish(TransportFailure(.other, "curl_easy_init failed"))
        }
        let call = CurlCall(transfer: transfer, easy: easy, now: Self.now())
        if let problem = call.configure(trustedCertificates: configuration.trustedCertificates) {
            call.release()
            curl_easy_cleanup(UnsafeMutableRawPointer(easy))
            return transfer.finish(problem)
        }
        let id = ObjectIdentifier(transfer)
        call.arm = { [unowned self] deadline in self.timers.push(deadline, id, call.serial) }
        calls[easy] = call
        byTransfer[ObjectIdentifier(transfer)] = call
        timers.push(call.firstDeadline, ObjectIdentifier(transfer), call.serial)
        thread.count { statistics in
            statistics.openTransfers += 1
            statistics.requestsSent += 1
        }
        let status = curl_multi_add_handle(handle, UnsafeMutableRawPointer(easy))
        if status != CURLM_OK { end(call, TransportFailure(.other, "curl_multi_add_handle: \(status.rawValue)")) }
    }

    private func resume(_ transfer: Transfer) {
        guard let call = byTransfer[ObjectIdentifier(transfer)], transfer.takePause() else { return }
        call.touched(Self.now())
        // This may call the write callback at once with data that libcurl has kept.
        curl_easy_pause(UnsafeMutableRawPointer(call.easy), CURLPAUSE_CONT)
    }

    /// Removes a call, finished or not. libcurl then closes an unfinished HTTP/1 connection and resets an HTTP/2 stream.
    private func end(_ call: CurlCall, _ failure: TransportFailure?) {
        guard calls.removeValue(forKey: call.easy) != nil else { return }
        byTransfer[ObjectIdentifier(call.transfer)] = nil
        var created = 0
        apir_easy_get_long(UnsafeMutableRawPointer(call.easy), CURLINFO_NUM_CONNECTS, &created)
        curl_multi_remove_handle(handle, UnsafeMutableRawPointer(call.easy))
        call.arm = { _ in }
        call.release()
        curl_easy_reset(UnsafeMutableRawPointer(call.easy))
        if spare.count < Self.maximumSpare {
            spare.append(call.easy)
        } else {
            curl_easy_cleanup(UnsafeMutableRawPointer(call.easy))
        }
        let connections = created
        thread.count { statistics in
            statistics.openTransfers -= 1
            statistics.connectionsCreated += connections
        }
        call.transfer.finish(failure)
    }

    private func collectFinished() {
        var left: Int32 = 0
        while let message = curl_multi_info_read(handle, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let call = calls[OpaquePointer(easy)]
            else { continue }
            let code = apir_message_result(message)
            end(call, call.outcome(code))
        }
    }

    // MARK: Sockets

    private func watch(_ socket: Int32, _ what: Int32) {
        if what == CURL_POLL_REMOVE {
            if watched.remove(socket) != nil { apir_epoll_remove(poll, socket) }
            return
        }
        let reads = what == CURL_POLL_IN || what == CURL_POLL_INOUT
        let writes = what == CURL_POLL_OUT || what == CURL_POLL_INOUT
        let isKnown = !watched.insert(socket).inserted
        _ = apir_epoll_set(poll, socket, isKnown ? 1 : 0, reads ? 1 : 0, writes ? 1 : 0)
    }

    func tearDown() {
        for call in Array(calls.values) { end(call, TransportFailure(.shutdown)) }
        // Commands that arrived while stopping.
        for command in thread.takeCommands().commands {
            if case .start(let transfer) = command { transfer.finish(TransportFailure(.shutdown)) }
        }
        for easy in spare { curl_easy_cleanup(UnsafeMutableRawPointer(easy)) }
        curl_multi_cleanup(handle)
        close(poll)
    }
}

/// Deadlines in order. Entries of calls that have ended are dropped when they become due.
struct TimerHeap {
    struct Entry {
        var deadline: Int64
        var transfer: ObjectIdentifier
        var serial: Int
    }
    private var heap: [Entry] = []

    var nextDeadline: Int64? { heap.first?.deadline }

    mutating func push(_ deadline: Int64, _ transfer: ObjectIdentifier, _ serial: Int) {
        heap.append(Entry(deadline: deadline, transfer: transfer, serial: serial))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func popDue(_ now: Int64) -> Entry? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].deadline < heap[smallest].deadline { smallest = child }
            guard smallest != parent else { break }
            heap.swapAt(parent, smallest)
            parent = smallest
        }
        return first
    }
}
