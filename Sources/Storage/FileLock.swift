import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An advisory lock on a file, held until it is released or the process ends, however it ends.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32>

    /// - Parameters:
    ///   - holder: what to say when somebody else holds it.
    ///   - isNew: the file is made where there is none; else it is there, and may be one that cannot be written to.
    /// - Throws: ``StoreError/database(_:)``.
    init(_ path: String, holder: String, isNew: Bool = true) throws(StoreError) {
        let file = open(path, (isNew ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .database("cannot open \(path): \(String(cString: strerror(errno)))") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw .database(holder)
        }
        descriptor = Mutex(file)
    }

    func release() {
        descriptor.withLock { file in
            if file >= 0 {
                // Closing is not enough: a child that is being started has the descriptor too until it runs its own program.
                flock(file, LOCK_UN)
                close(file)
            }
            file = -1
        }
    }

    deinit { release() }
}
