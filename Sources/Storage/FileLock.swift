import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An advisory lock on a file, held until it is released or the process ends, however it ends.
final class FileLock: Sendable {
    private let descriptor: Mutex<Int32>

    /// - Parameter holder: what to say when somebody else holds it.
    /// - Throws: ``StoreError/database(_:)``.
    init(_ path: String, holder: String) throws(StoreError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .database("cannot write \(path): \(String(cString: strerror(errno)))") }
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
