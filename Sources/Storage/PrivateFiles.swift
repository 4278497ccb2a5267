import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Folders (0700) and files (0600) that only their owner can read, whatever the umask: keys, balances and what people asked are in them.
public enum PrivateFiles {
    private static let others: mode_t = 0o077

    /// Makes a folder and those above it that are missing.
    /// - Returns: the folders that got a new entry, from the top: they must be synchronized before the new folder survives a loss of power.
    static func makeFolder(_ path: String, what: String) throws(StoreError) -> [String] {
        var missing: [String] = []
        var url = URL(fileURLWithPath: path).standardizedFileURL
        while url.path != "/", !FileManager.default.fileExists(atPath: url.path) {
            missing.append(url.path)
            url.deleteLastPathComponent()
        }
        for folder in missing.reversed() {
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
                throw .database("cannot make the \(what) \(path): \(String(cString: strerror(errno)))")
            }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw .database("cannot make the \(what) \(path): there is something else of that name")
        }
        return missing.reversed().map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
    }

    /// Makes an empty file where there is none. SQLite takes an empty file for a new database, and gives its mode to the files beside it.
    static func makeFile(_ path: String) throws(StoreError) {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file >= 0 { close(file) }
        guard file >= 0 || errno == EEXIST else { throw .database("cannot make \(path): \(String(cString: strerror(errno)))") }
    }

    /// Takes the rights of others away from what an earlier program, or a careless copy, has left in the data directory.
    ///
    /// Only what this program makes is touched, by its name: a directory may hold other things.
    /// - Parameter database: the path of the ledger, when it is a file; it may lie in another folder, whose own mode is not ours to change.
    /// - Returns: what was changed, and what could not be, for the log.
    /// - Throws: ``StoreError/database(_:)`` when the directory cannot be made.
    public static func mend(directory: String, database: String?) throws(StoreError) -> [String] {
        _ = try makeFolder(directory, what: "data directory")
        var paths = [directory]
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        paths += names.filter(isOurs).sorted().map { directory + "/" + $0 }
        if let database { paths += databaseFiles.map { database + $0 } }
        var notes: [String] = []
        var seen: Set<String> = []
        for path in paths where seen.insert(URL(fileURLWithPath: path).standardizedFileURL.path).inserted {
            if let note = mend(path, isDirectory: path == directory) { notes.append(note) }
        }
        return notes
    }

    private static let databaseFiles = ["", "-wal", "-shm", "-journal", ".lock"]
    private static let names: Set<String> = ["initial_root_password", "session_secret"]

    private static func isOurs(_ name: String) -> Bool {
        name.hasPrefix("journal") || name.hasPrefix("apirouter.db") || name.hasPrefix("responses.sqlite") || names.contains(name)
    }

    private static func mend(_ path: String, isDirectory: Bool) -> String? {
        var status = stat()
        // A link is somebody's own arrangement; only the directory itself may be one.
        guard (isDirectory ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
        guard status.st_mode & S_IFMT == (isDirectory ? S_IFDIR : S_IFREG), status.st_mode & others != 0 else { return nil }
        let before = String(status.st_mode & 0o7777, radix: 8)
        // With the sticky bit it is a folder for everybody, such as /tmp.
        guard status.st_mode & S_ISVTX == 0 else { return "\(path) is open to everybody (mode \(before)); use a data_dir of its own" }
        let after = status.st_mode & 0o7777 & ~others
        guard chmod(path, after) == 0 else {
            return "\(path) can be read by others (mode \(before)), and that cannot be changed: \(String(cString: strerror(errno)))"
        }
        return "\(path) could be read by others (mode \(before)); its mode is \(String(after, radix: 8)) now"
    }
}
