import CPlatform
import Config
import GatewayState
import Logging
import Platform
import RouterCore
import ServiceLifecycle
import Simulator
import Storage
import Transport
import UnixSignals

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Closes the stores last, when nothing writes to them any more.
struct StoreService: Service {
    let store: any Store
    let journal: any Journal
    let responses: ResponseKeeper
    let simulator: Simulator?

    func run() async throws {
        try? await gracefulShutdown()
        try await simulator?.stop()
        try await journal.close()
        try await responses.close()
        try await store.close()
    }
}

/// Ends the upstream connections after the server has drained.
struct TransportService: Service {
    let transport: UpstreamSwitch

    func run() async throws {
        try? await gracefulShutdown()
        await transport.shutdown()
    }
}

/// Writes the times at which keys were last used, in groups, so that requests never do.
struct TokenUseWriter: Service {
    let keys: KeyDirectory
    let store: any TokenStore
    let logger: Logger

    private static let interval = Duration.seconds(15)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: Self.interval)
                await write()
            }
        }
        await write()
    }

    private func write() async {
        let touched = keys.touched()
        guard !touched.isEmpty else { return }
        do {
            try await store.touchTokens(touched)
        } catch {
            // A display value only; it is written at the next use.
            logger.debug("last use of keys not written", metadata: ["error": "\(error)"])
        }
    }
}

/// Reloads the configuration on SIGHUP and when a file changes.
struct ConfigurationWatcher: Service {
    let reloader: ConfigurationReloader
    let clock: ServerClock
    let logger: Logger
    let paths: [String]

    /// Polling detects every kind of change (editors that rename, mounted volumes, symlinked secrets).
    private static let interval = Duration.milliseconds(500)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await watchSignals() }
                group.addTask { await watchFiles() }
                await group.waitForAll()
            }
        }
    }

    private func watchSignals() async {
        for await _ in await UnixSignalsSequence(trapping: [.sighup]) { await reload("SIGHUP") }
    }

    private func watchFiles() async {
        var seen = FileStamp.all(paths)
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            let now = FileStamp.all(paths)
            guard now != seen else { continue }
            // A file that is being written changes again within the interval; wait until it is stable.
            try? await Task.sleep(for: .milliseconds(200))
            let settled = FileStamp.all(paths)
            guard settled == now else { continue }
            seen = settled
            await reload("files changed")
        }
    }

    private static let retry = Duration.seconds(5)

    /// An invalid configuration is reported once and not applied; one that could not be checked because the ledger was unreachable is
    /// retried until it is applied.
    private func reload(_ reason: String) async {
        while !Task.isCancelled {
            logger.notice("reloading the configuration", metadata: ["reason": "\(reason)"])
            do {
                try await reloader.reload(
                    audit: AuditEntry(
                        actorID: nil, action: "config.reload", detail: [.init("reason", .string(reason))], at: clock.unixSeconds))
                return
            } catch is ConfigErrors {
                return
            } catch {
                logger.error(
                    "configuration not reloaded, the old one stays in force; it is tried again in \(Self.retry)",
                    metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.retry)
            }
        }
    }
}

/// Identifies a version of a file, to detect changes.
struct FileStamp: Hashable {
    var path: String
    var inode: UInt64
    var size: Int64
    /// Nanoseconds since 1970.
    var modified: Int64

    /// Stamps of files, and of the entries of directories.
    static func all(_ paths: [String]) -> Set<FileStamp> {
        var stamps: Set<FileStamp> = []
        for path in paths {
            guard let stamp = FileStamp(path) else { continue }
            stamps.insert(stamp)
            for name in entries(path) {
                if let entry = FileStamp(path + "/" + name) { stamps.insert(entry) }
            }
        }
        return stamps
    }

    private init?(_ path: String) {
        var file = apir_file()
        guard apir_file_at(path, &file) else { return nil }
        self.path = path
        inode = file.inode
        size = file.size
        modified = file.modified_nanoseconds
    }

    private static func entries(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".yaml") || name.hasSuffix(".yml") { names.append(name) }
        }
        return names
    }
}
