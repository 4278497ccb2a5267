import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The identity of a journal: the gateway id assigned at the first start, the number of this start, and the lives so far, as lines of text
/// in a file of its own.
struct JournalIdentity: Sendable, Hashable {
    var gatewayID: String
    var epoch: Int64
    /// Incarnations, latest first.
    var lives: [String] = []
    /// The lock of the directory, and the boot of the system in which it was last held; empty = unknown.
    var place = ""

    private static let name = "journal.id"
    /// Maximum number of lives to remember. Several lives in a row end without returning their leases only in a restart loop.
    private static let rememberedLives = 16

    /// - Returns: nil when there is none yet.
    static func read(_ directory: String) throws(StoreError) -> JournalIdentity? {
        let path = directory + "/" + name
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try JournalFile(path, O_RDONLY)
        let text = String(decoding: try file.read(try file.size(), at: 0), as: UTF8.self)
        var lines = text.split(separator: "\n")
        let words = lines.isEmpty ? [] : lines.removeFirst().split(whereSeparator: \.isWhitespace)
        guard words.count == 2, UUID(uuidString: String(words[0])) != nil, let epoch = Int64(words[1]), epoch > 0 else {
            throw .database(
                """
                \(path) does not say '<uuid> <number>'. Restore it; or remove it and the gateway gets a new id, whose money may be leased to its old \
                one for metering.lease_lifetime
                """)
        }
        var identity = JournalIdentity(gatewayID: String(words[0]), epoch: epoch)
        for line in lines {
            let words = line.split(separator: " ")
            guard words.count == 2 else { continue }
            switch words[0] {
            case "place": identity.place = String(words[1])
            case "life": identity.lives.append(String(words[1]))
            default: break
            }
        }
        // In the format before lives existed, leases belonged to the id and the number.
        if identity.lives.isEmpty { identity.lives = ["\(identity.gatewayID):\(epoch)"] }
        return identity
    }

    /// Begins the next start, which is a life of its own.
    mutating func beginLife() {
        epoch += 1
        lives.insert(Self.newIncarnation(), at: 0)
        lives.removeLast(max(0, lives.count - Self.rememberedLives))
    }

    /// 128 bits from the kernel's random generator.
    static func newIncarnation() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }

    /// Identifies the lock file of a directory and the boot of the system. Two processes that held the same lock were never alive at the
    /// same time.
    static func place(ofLock path: String) -> String {
        var info = stat()
        guard stat(path, &info) == 0,
            let boot = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8),
            let id = UUID(uuidString: boot.trimmingCharacters(in: .whitespacesAndNewlines))
        else { return "" }
        return "\(id.uuidString.lowercased()):\(info.st_dev):\(info.st_ino)"
    }

    /// Replaces the file atomically.
    func write(_ directory: String) throws(StoreError) {
        let path = directory + "/" + Self.name
        let temporary = path + ".new"
        var text = "\(gatewayID) \(epoch)\n"
        if !place.isEmpty { text += "place \(place)\n" }
        for life in lives { text += "life \(life)\n" }
        do {
            let file = try JournalFile(temporary, O_WRONLY | O_CREAT | O_TRUNC)
            var bytes = RecordBuffer()
            for byte in text.utf8 { bytes.byte(byte) }
            try file.write(bytes.bytes, at: 0)
            try file.synchronize()
        }
        try JournalFile.move(temporary, to: path)
        try JournalFile.synchronizeDirectory(directory)
    }
}
