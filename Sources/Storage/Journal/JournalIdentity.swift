import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The id that a journal's gateway was given at its first start, and the number of this start: a line of text in a file of its own.
struct JournalIdentity: Sendable, Hashable {
    var gatewayID: String
    var epoch: Int64

    private static let name = "journal.id"

    /// - Returns: nil when there is none yet.
    static func read(_ directory: String) throws(StoreError) -> JournalIdentity? {
        let path = directory + "/" + name
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let file = try JournalFile(path, O_RDONLY)
        let text = String(decoding: try file.read(try file.size(), at: 0), as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, UUID(uuidString: String(words[0])) != nil, let epoch = Int64(words[1]), epoch > 0 else {
            throw .database(
                """
                \(path) does not say '<uuid> <number>'. Restore it; or remove it and the gateway gets a new id, whose money may be leased to its old \
                one for metering.lease_lifetime
                """)
        }
        return JournalIdentity(gatewayID: String(words[0]), epoch: epoch)
    }

    /// All of it or the one before, whatever happens.
    func write(_ directory: String) throws(StoreError) {
        let path = directory + "/" + Self.name
        let temporary = path + ".new"
        do {
            let file = try JournalFile(temporary, O_WRONLY | O_CREAT | O_TRUNC)
            var line = RecordBuffer()
            for byte in "\(gatewayID) \(epoch)\n".utf8 { line.byte(byte) }
            try file.write(line.bytes, at: 0)
            try file.synchronize()
        }
        try JournalFile.move(temporary, to: path)
        try JournalFile.synchronizeDirectory(directory)
    }
}
