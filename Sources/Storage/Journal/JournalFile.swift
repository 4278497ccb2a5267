#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An open file or directory; closed with the value.
final class JournalFile: Sendable {
    let path: String
    private let descriptor: Int32

    /// - Throws: ``StoreError/database(_:)``, as all functions here do.
    init(_ path: String, _ flags: Int32) throws(StoreError) {
        self.path = path
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("open", path) }
    }

    deinit { close(descriptor) }

    private static func failure(_ verb: String, _ path: String) -> StoreError {
        .database("cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    func size() throws(StoreError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure("look at", path) }
        return Int(status.st_size)
    }

    /// Writes all bytes or throws, after which some of them may have been written.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StoreError) {
        guard try writeIfRoom(bytes, at: offset) else { throw .database("cannot write \(path): \(String(cString: strerror(ENOSPC)))") }
    }

    /// - Returns: false when the disk or the quota is full. Some of the bytes may have been written then.
    func writeIfRoom(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StoreError) -> Bool {
        var done = 0
        while done < bytes.count {
            let written = pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
            if written < 0 && errno == EINTR { continue }
            if written < 0 && (errno == ENOSPC || errno == EDQUOT) { return false }
            guard written > 0 else { throw Self.failure("write", path) }
            done += written
        }
        return true
    }

    func read(_ count: Int, at offset: Int) throws(StoreError) -> [UInt8] {
        var isFailed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = pread(descriptor, buffer.baseAddress! + done, count - done, off_t(offset + done))
                if got < 0 && errno == EINTR { continue }
                isFailed = got < 0
                guard got > 0 else { return }
                done += got
            }
        }
        guard !isFailed else { throw Self.failure("read", path) }
        guard bytes.count == count else { throw .database("\(path) has become shorter") }
        return bytes
    }

    func cut(to size: Int) throws(StoreError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw Self.failure("shorten", path) }
    }

    /// Flushes the contents to the disk, with the metadata that is needed to find them.
    func synchronizeData() throws(StoreError) {
        guard fdatasync(descriptor) == 0 else { throw Self.failure("synchronize", path) }
    }

    func synchronize() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw Self.failure("synchronize", path) }
    }

    static func synchronizeDirectory(_ path: String) throws(StoreError) { try JournalFile(path, O_RDONLY | O_DIRECTORY).synchronize() }

    static func move(_ path: String, to target: String) throws(StoreError) {
        guard rename(path, target) == 0 else { throw failure("rename", path) }
    }

    /// Removes a file; one that does not exist counts as removed.
    static func remove(_ path: String) throws(StoreError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }
}

/// How the journal waits for the disk. Tests inject disks that fail, wait, or lose what was not synchronized.
struct JournalDisk: Sendable {
    /// Returns when the contents of a file, and the metadata that is needed to find them, are on the disk.
    var synchronizeFile: @Sendable (JournalFile) throws -> Void = { try $0.synchronizeData() }
    /// The same for the names in a directory: files that were created, renamed or removed.
    var synchronizeDirectory: @Sendable (String) throws -> Void = { try JournalFile.synchronizeDirectory($0) }

    static let system = JournalDisk()

    func synchronize(_ file: JournalFile) throws(StoreError) {
        do { try synchronizeFile(file) } catch { throw error as? StoreError ?? .database("\(error)") }
    }

    func synchronize(directory: String) throws(StoreError) {
        do { try synchronizeDirectory(directory) } catch { throw error as? StoreError ?? .database("\(error)") }
    }
}

/// The header at the beginning of a journal file.
struct SegmentHeader {
    static let size = 40
    private static let magic: UInt64 = 0x314C_4E52_4A50_4441
    /// Version of the file format. Records have versions of their own.
    private static let version: UInt32 = 1

    var number: UInt32
    /// Part of every checksum in the file, so that client text in the journal cannot be crafted to look like a record.
    var salt: UInt32
    var isPower: Bool
    /// Size of the previous file when this one was begun. Records beyond it were refused to their writers; if the file is shorter, data was
    /// lost.
    var previousSize: UInt64

    enum Reading {
        case header(SegmentHeader)
        case newer(UInt32)
        case broken
    }

    func write(_ buffer: inout RecordBuffer) {
        buffer.fixed(Self.magic)
        buffer.fixed(Self.version)
        buffer.fixed(number)
        buffer.fixed(salt)
        buffer.fixed(UInt32(isPower ? 1 : 0))
        buffer.fixed(previousSize)
        buffer.fixed(UInt32(0))
        buffer.fixed(CRC32C.checksum(buffer.bytes))
    }

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard bytes.count >= size else { return .broken }
        var reader = RecordReader(bytes)
        guard let magic = try? reader.fixed(UInt64.self), magic == Self.magic, let version = try? reader.fixed(UInt32.self),
            let number = try? reader.fixed(UInt32.self), let salt = try? reader.fixed(UInt32.self),
            let flags = try? reader.fixed(UInt32.self),
            let previous = try? reader.fixed(UInt64.self), (try? reader.fixed(UInt32.self)) != nil,
            let sum = try? reader.fixed(UInt32.self),
            sum == CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<(size - 4)]))
        else { return .broken }
        guard version == Self.version else { return .newer(version) }
        return .header(SegmentHeader(number: number, salt: salt, isPower: flags & 1 == 1, previousSize: previous))
    }
}
