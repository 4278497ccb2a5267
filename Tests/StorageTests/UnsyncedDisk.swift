import Foundation
import GRDBSQLite
import Synchronization

@testable import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A disk that loses its power: it knows what of a folder was synchronized, and can show the folder as it would be found without the rest.
///
/// Strict where file systems may be kind: contents count from the last synchronization of the file, names from the last one of the folder.
/// The journal tells it through its own seam (``journal``), SQLite through a VFS that stands before the usual one (``SyncWatch``).
final class UnsyncedDisk: Sendable {
    /// What is on the disk at some moment.
    struct Image: Sendable {
        /// Inodes by name.
        var names: [String: UInt64] = [:]
        var contents: [UInt64: [UInt8]] = [:]

        /// A new folder with it.
        func folder() throws -> TemporaryFolder {
            let folder = try TemporaryFolder()
            for (name, inode) in names {
                try Data(contents[inode] ?? []).write(to: URL(fileURLWithPath: folder.path + "/" + name))
            }
            return folder
        }
    }

    private struct State {
        var image = Image()
        /// After each synchronization.
        var moments: [Image] = []
    }

    let folder: TemporaryFolder
    /// Hard links to every file that was ever seen, so that no inode is used for a second one.
    private let links: TemporaryFolder
    private let state = Mutex(State())

    init() throws {
        folder = try TemporaryFolder()
        links = try TemporaryFolder()
        SyncWatch.watch(folder.path, self)
    }

    deinit { SyncWatch.forget(folder.path) }

    var image: Image { state.withLock { $0.image } }

    /// Those since the last call.
    func takeMoments() -> [Image] {
        state.withLock { state in
            defer { state.moments = [] }
            return state.moments
        }
    }

    var journal: JournalDisk {
        JournalDisk { file in
            try file.synchronizeData()
            self.synchronized(file.path, try file.read(try file.size(), at: 0))
        } synchronizeDirectory: { path in
            try JournalFile.synchronizeDirectory(path)
            self.synchronizedNames()
        }
    }

    func synchronized(_ path: String, _ contents: [UInt8]) {
        // A file that has been removed meanwhile counts for nothing.
        guard let inode = inode(path) else { return }
        state.withLock { state in
            state.image.contents[inode] = contents
            state.moments.append(state.image)
        }
    }

    func synchronizedNames() {
        var names: [String: UInt64] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] where !name.hasSuffix("-shm") {
            names[name] = inode(folder.path + "/" + name)
        }
        state.withLock { state in
            state.image.names = names
            state.moments.append(state.image)
        }
    }

    private func inode(_ path: String) -> UInt64? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        link(path, "\(links.path)/\(status.st_ino)")
        return UInt64(status.st_ino)
    }
}

/// SQLite's usual VFS with a look at what it synchronizes, in folders that are watched. It becomes the default, because GRDB has no way to
/// name one.
enum SyncWatch {
    private struct OpenFile {
        var path: String
        /// Address of the methods that the usual VFS gave the file.
        var methods: UInt
        /// The usual VFS synchronizes the folder, too, with the first synchronization of a new log or journal.
        var isNewLog: Bool
    }

    private final class Watched: Sendable {
        weak let disk: UnsyncedDisk?
        init(_ disk: UnsyncedDisk) { self.disk = disk }
    }

    private static let watched = Mutex<[String: Watched]>([:])
    /// By the address of SQLite's structure.
    private static let files = Mutex<[UInt: OpenFile]>([:])
    /// Our copies of tables of methods, by the address of the original.
    private static let tables = Mutex<[UInt: UInt]>([:])
    /// Address of the usual VFS.
    private static let usual = Mutex<UInt>(0)

    static func watch(_ folder: String, _ disk: UnsyncedDisk) {
        install
        watched.withLock { $0[folder] = Watched(disk) }
    }

    static func forget(_ folder: String) { _ = watched.withLock { $0.removeValue(forKey: folder) } }

    private static func disk(_ path: String) -> UnsyncedDisk? {
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        return watched.withLock { $0[folder] }?.disk
    }

    private static var base: UnsafeMutablePointer<sqlite3_vfs> {
        guard let base = UnsafeMutablePointer<sqlite3_vfs>(bitPattern: usual.withLock { $0 }) else { preconditionFailure("not installed") }
        return base
    }

    private static let install: Void = {
        sqlite3_initialize()
        guard let found = sqlite3_vfs_find(nil) else { preconditionFailure("SQLite has no VFS") }
        usual.withLock { $0 = UInt(bitPattern: found) }
        // Stays for as long as the process, as SQLite demands.
        let copy = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        copy.initialize(to: found.pointee)
        copy.pointee.zName = UnsafePointer(strdup("sync-watch"))
        copy.pointee.pNext = nil
        copy.pointee.xOpen = { _, name, file, flags, out in
            let status = SyncWatch.base.pointee.xOpen(SyncWatch.base, name, file, flags, out)
            if status == SQLITE_OK, let name, let file { SyncWatch.opened(String(cString: name), file, flags) }
            return status
        }
        copy.pointee.xDelete = { _, name, isSynchronized in
            let status = SyncWatch.base.pointee.xDelete(SyncWatch.base, name, isSynchronized)
            if status == SQLITE_OK, isSynchronized != 0, let name { SyncWatch.disk(String(cString: name))?.synchronizedNames() }
            return status
        }
        guard sqlite3_vfs_register(copy, 1) == SQLITE_OK else { preconditionFailure("SQLite refuses the VFS") }
    }()

    private static func opened(_ path: String, _ file: UnsafeMutablePointer<sqlite3_file>, _ flags: Int32) {
        guard disk(path) != nil, let methods = file.pointee.pMethods else { return }
        let isLog = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0
        files.withLock {
            $0[UInt(bitPattern: file)] = OpenFile(
                path: path, methods: UInt(bitPattern: methods), isNewLog: isLog && flags & SQLITE_OPEN_CREATE != 0)
        }
        file.pointee.pMethods = table(methods)
    }

    private static func table(_ methods: UnsafePointer<sqlite3_io_methods>) -> UnsafePointer<sqlite3_io_methods>? {
        let address = tables.withLock { tables -> UInt in
            if let known = tables[UInt(bitPattern: methods)] { return known }
            let copy = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
            copy.initialize(to: methods.pointee)
            copy.pointee.xSync = { file, flags in SyncWatch.sync(file, flags) }
            copy.pointee.xClose = { file in SyncWatch.close(file) }
            tables[UInt(bitPattern: methods)] = UInt(bitPattern: copy)
            return UInt(bitPattern: copy)
        }
        return UnsafePointer(bitPattern: address)
    }

    private static func sync(_ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32) -> Int32 {
        guard let file, let open = files.withLock({ $0[UInt(bitPattern: file)] }),
            let methods = UnsafePointer<sqlite3_io_methods>(bitPattern: open.methods)
        else { return SQLITE_IOERR }
        let status = methods.pointee.xSync(file, flags)
        guard status == SQLITE_OK, let disk = disk(open.path) else { return status }
        var size: sqlite3_int64 = 0
        guard methods.pointee.xFileSize(file, &size) == SQLITE_OK else { return SQLITE_IOERR }
        var contents = [UInt8](repeating: 0, count: Int(size))
        let read =
            size == 0 ? SQLITE_OK : contents.withUnsafeMutableBytes { methods.pointee.xRead(file, $0.baseAddress, Int32($0.count), 0) }
        guard read == SQLITE_OK else { return SQLITE_IOERR }
        disk.synchronized(open.path, contents)
        if open.isNewLog {
            files.withLock { $0[UInt(bitPattern: file)]?.isNewLog = false }
            disk.synchronizedNames()
        }
        return status
    }

    private static func close(_ file: UnsafeMutablePointer<sqlite3_file>?) -> Int32 {
        guard let file, let open = files.withLock({ $0.removeValue(forKey: UInt(bitPattern: file)) }),
            let methods = UnsafePointer<sqlite3_io_methods>(bitPattern: open.methods)
        else { return SQLITE_IOERR }
        return methods.pointee.xClose(file)
    }
}
