import Foundation
import Logging
import RouterCore
import Storage

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// `data_dir/initial_root_password`: holds root's first password, readable by the file's owner only. Logs are stored, copied and sent away,
/// so the password is never logged: it is shown once if the program runs in a terminal; otherwise only the location of the file is
/// reported.
struct RootPasswordFile {
    private let path: String
    private let password: Secret

    /// Creates the directory and the file. A file that an earlier ledger has left is of no use and is replaced.
    /// - Throws: ``StoreError/schema(_:)`` when it cannot be written.
    init(directory: String, password: Secret) throws {
        path = directory + "/initial_root_password"
        self.password = password
        do {
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StoreError.schema("cannot make the folder \(directory): \(error.localizedDescription)")
        }
        unlink(path)
        // Exclusive, so that an existing file or link of another user is never written to.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw StoreError.schema("cannot make \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        let bytes = Array((password.reveal() + "\n").utf8)
        // The mode is set again because the umask may remove even the owner's permissions.
        guard fchmod(descriptor, 0o600) == 0, write(descriptor, bytes, bytes.count) == bytes.count,
            fsync(descriptor) == 0
        else {
            let reason = String(cString: strerror(errno))
            unlink(path)
            throw StoreError.schema("cannot write \(path): \(reason)")
        }
    }

    func remove() { unlink(path) }

    /// Reports the password or its location, once, after the account has been created.
    func tell(_ logger: Logger) {
        if isatty(STDERR_FILENO) == 1 {
            FileHandle.standardError.write(
                Data("\nfirst start: user 'root' has the password \(password.reveal())\n\n".utf8))
        }
        logger.notice("first start: the password of user 'root' is in \(path); log in, change it and delete the file")
    }
}
