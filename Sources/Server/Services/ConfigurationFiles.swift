import Config
import Crypto
import Foundation
import GatewayState
import Platform

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files of the configuration that is in force, as root sees and changes them: gateway.yaml, the file of channels, and the provider
/// files. A name that is not one of theirs is that of no file, so that no other file can be read or written here.
struct ConfigurationFiles: Sendable {
    enum Kind: String, Sendable, CaseIterable {
        case gateway, channels, provider
    }

    struct File: Sendable, Hashable {
        /// Its name for clients: `gateway.yaml`, `channels.yaml`, `providers/openai.yaml`.
        var name: String
        var kind: Kind
        /// The path on the disk.
        var location: String
    }

    struct Contents: Sendable {
        var text: String
        var etag: String
        var bytes: Int
    }

    /// Why a file cannot be read or written.
    enum Problem: Error, Sendable, Hashable {
        case unknown
        /// In words, as the end of a sentence.
        case unreadable(String)
        case readOnly(String)
        case changed
    }

    /// Bytes of a file.
    static let largest = 1 << 20
    private static let mostProviders = 1_000

    /// Path of gateway.yaml.
    let path: String
    /// The process environment, without the variables of `.env`.
    let environment: [String: String]
    let snapshots: SnapshotHolder
    /// The channels, providers and secrets of the console, which files may refer to.
    let console: @Sendable () async throws -> ConsoleConfiguration
    /// One writer at a time: nobody may come between the comparison and the replacement.
    private let gate = AsyncGate()

    init(
        path: String, environment: [String: String], snapshots: SnapshotHolder,
        console: @escaping @Sendable () async throws -> ConsoleConfiguration
    ) {
        self.path = path
        self.environment = environment
        self.snapshots = snapshots
        self.console = console
    }

    // MARK: Which there are

    /// The file of channels and the folder of provider files, as they are in force.
    private var places: [String] { Array(snapshots.snapshot.configuration.watchedPaths.dropFirst()) }

    func all() -> [File] {
        var files = [File(name: Self.last(path), kind: .gateway, location: path)]
        guard places.count == 2 else { return files }
        let channels = Self.last(places[0])
        files.append(File(name: channels == files[0].name ? "channels/\(channels)" : channels, kind: .channels, location: places[0]))
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: places[1])) ?? []
        let names = entries.filter { $0.hasSuffix(".yaml") && !$0.hasPrefix(".") }.sorted()
        files += names.prefix(Self.mostProviders).map {
            File(name: "providers/\($0)", kind: .provider, location: places[1] + "/" + $0)
        }
        return files
    }

    func file(_ name: String) throws(Problem) -> File {
        guard let file = all().first(where: { $0.name == name }) else { throw .unknown }
        return file
    }

    private static func last(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

    /// - Returns: why the file cannot be written; nil when it can.
    func readOnlyReason(_ file: File) -> String? {
        var facts = stat()
        guard lstat(file.location, &facts) == 0 else { return "it cannot be found" }
        if facts.st_mode & S_IFMT == S_IFLNK { return "it is a symbolic link" }
        guard facts.st_mode & S_IFMT == S_IFREG else { return "it is no regular file" }
        guard facts.st_nlink == 1 else { return "it has several names (hard links)" }
        guard access(file.location, W_OK) == 0 else { return "the gateway may not write it" }
        guard access(Self.folder(file.location), W_OK) == 0 else { return "the gateway may not write into its folder" }
        return nil
    }

    private static func folder(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    // MARK: Reading

    func read(_ file: File) throws(Problem) -> Contents {
        // Nothing that keeps a reader waiting, such as a pipe.
        let descriptor = open(file.location, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .unreadable("it cannot be opened: \(Self.reason())") }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw .unreadable("it is no regular file") }
        guard facts.st_size <= Self.largest else { throw .unreadable("it has more than \(Self.largest) bytes") }
        var bytes = [UInt8](repeating: 0, count: Self.largest + 1)
        var count = 0
        while count < bytes.count {
            let (start, room) = (count, bytes.count - count)
            let more = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { pread(descriptor, $0 + start, room, off_t(start)) } ?? 0
            }
            guard more >= 0 else { throw .unreadable("it cannot be read: \(Self.reason())") }
            if more == 0 { break }
            count += more
        }
        guard count <= Self.largest else { throw .unreadable("it has more than \(Self.largest) bytes") }
        let content = bytes[..<count]
        guard let text = String(validating: content, as: UTF8.self) else { throw .unreadable("it is not UTF-8 text") }
        return Contents(text: text, etag: Self.etag(text), bytes: count)
    }

    /// 128 bits of the SHA-256, in hexadecimal digits.
    static func etag(_ text: String) -> String {
        let digits = Array("0123456789abcdef")
        return SHA256.hash(data: Array(text.utf8)).prefix(16).reduce(into: "") { $0 += [digits[Int($1 >> 4)], digits[Int($1 & 15)]] }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }

    // MARK: Checking

    /// All that there is to say about the configuration: with this text in the place of a file, or as it is. File names are those of
    /// clients.
    /// - Throws: what the console's store throws.
    func diagnostics(_ file: File? = nil, text: String = "") async throws -> [Diagnostic] {
        // `.env` is read again, because a key may have been added there.
        let loader = ConfigLoader(environment: DotEnv.load(directory: ".", environment: environment), console: try await console())
        let draft = file.map { ConfigLoader.Draft(file: $0.location, text: text, places: places) }
        let names = Dictionary(all().map { ($0.location, $0.name) }) { first, _ in first }
        return loader.diagnostics(path: path, draft: draft).map { diagnostic in
            var shown = diagnostic
            shown.file = names[diagnostic.file] ?? Self.last(diagnostic.file)
            return shown
        }
    }

    /// The diagnostics that forbid a draft: all errors, except those that other provider files have already. One broken provider file must
    /// not keep another one from being mended.
    func obstacles(_ file: File, _ found: [Diagnostic]) async throws -> [Diagnostic] {
        let errors = found.filter { $0.severity == .error }
        guard !errors.isEmpty else { return [] }
        let before = Set(try await diagnostics())
        return errors.filter { $0.file == file.name || !$0.file.hasPrefix("providers/") || !before.contains($0) }
    }

    // MARK: Writing

    /// Replaces a file at once, with its mode: whoever reads it finds the old text or the new one.
    /// - Parameters:
    ///   - etag: of the text that is replaced.
    ///   - record: writes down who does it, when nothing else speaks against it any more; where that fails, the file stays.
    /// - Returns: the new etag.
    func write(
        _ file: File, _ text: String, replacing etag: String, after record: () async throws -> Void = {}
    ) async throws -> String {
        try await gate.run {
            let old = try read(file)
            guard old.etag == etag else { throw Problem.changed }
            if let reason = readOnlyReason(file) { throw Problem.readOnly(reason) }
            try await record()
            try replace(file, text, old)
            return Self.etag(text)
        }
    }

    private func replace(_ file: File, _ text: String, _ old: Contents) throws(Problem) {
        var facts = stat()
        guard lstat(file.location, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { throw .readOnly("it is no regular file") }
        let folder = Self.folder(file.location)
        // Not the name of a file of the configuration, whatever happens.
        let other = "\(folder)/.\(Self.last(file.location)).\(TokenSecrets.random(12)).new"
        let descriptor = open(other, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .readOnly("its folder takes no new file: \(Self.reason())") }
        var isDone = false
        defer {
            close(descriptor)
            if !isDone { unlink(other) }
        }
        guard Self.write(text, to: descriptor) else { throw .readOnly("it cannot be written: \(Self.reason())") }
        // The owner stays where the gateway may give files away; the mode stays in any case.
        _ = fchown(descriptor, facts.st_uid, facts.st_gid)
        guard fchmod(descriptor, facts.st_mode & 0o7777) == 0, fsync(descriptor) == 0 else {
            throw .readOnly("it cannot be written: \(Self.reason())")
        }
        // An editor may have been faster.
        guard try read(file).etag == old.etag else { throw .changed }
        guard rename(other, file.location) == 0 else { throw .readOnly("it cannot be replaced: \(Self.reason())") }
        isDone = true
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        fsync(directory)
        close(directory)
    }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let (start, rest) = (written, bytes.count - written)
            let count = bytes.withUnsafeBytes { buffer in
                buffer.baseAddress.map { pwrite(descriptor, $0 + start, rest, off_t(start)) } ?? 0
            }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }
}
