import Foundation
import Testing

@testable import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Who may read what the gateway writes.
struct PrivateFilesTests {
    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : .max
    }

    @Test("audit 18: what an earlier program left open is closed, and nothing else is touched")
    func mends() throws {
        let folder = try TemporaryFolder()
        let directory = folder.path + "/data"
        let ours = ["apirouter.db", "apirouter.db-wal", "journal-00000001.log", "journal.id", "initial_root_password"]
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        chmod(directory, 0o755)
        for name in ours + ["notes.txt"] {
            try Data("x".utf8).write(to: URL(fileURLWithPath: directory + "/" + name))
            chmod(directory + "/" + name, 0o644)
        }
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder.path + "/elsewhere"))
        chmod(folder.path + "/elsewhere", 0o644)
        symlink(folder.path + "/elsewhere", directory + "/journal.lock")
        let notes = try PrivateFiles.mend(directory: directory, database: directory + "/apirouter.db")
        #expect(notes.count == ours.count + 1, "\(notes)")
        #expect(notes.contains("\(directory) could be read by others (mode 755); its mode is 700 now"), "\(notes)")
        #expect(mode(directory) == 0o700)
        for name in ours { #expect(mode(directory + "/" + name) == 0o600, "\(name)") }
        #expect(mode(directory + "/notes.txt") == 0o644 && mode(folder.path + "/elsewhere") == 0o644)
        #expect(try PrivateFiles.mend(directory: directory, database: directory + "/apirouter.db").isEmpty)
    }

    @Test func `a ledger in another folder is closed, the folder is left as it is`() throws {
        let folder = try TemporaryFolder()
        chmod(folder.path, 0o755)
        let path = folder.path + "/shared.db"
        try Data("x".utf8).write(to: URL(fileURLWithPath: path))
        chmod(path, 0o664)
        let notes = try PrivateFiles.mend(directory: folder.path + "/new/data", database: path)
        #expect(notes.count == 1 && mode(path) == 0o600 && mode(folder.path) == 0o755)
        #expect(mode(folder.path + "/new/data") == 0o700 && mode(folder.path + "/new") == 0o700)
    }
}
