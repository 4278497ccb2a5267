import Foundation
import RouterCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// All journal files of a directory, kept ones included, read for their full contents, whether or not the records still count. Changes
/// nothing.
struct JournalArchive {
    /// The contents of one file.
    struct Contents: Sendable {
        var name: String
        /// In the order of the file; a request may appear twice, because records are copied.
        var settlements: [RequestRecord] = []
        var credits: [LedgerEntry] = []
        /// Number of bytes that are not valid records.
        var lostBytes = 0
    }

    private let directory: String
    /// File names, oldest first.
    private let names: [String]
    /// Keeps gateways from using the directory in the meantime.
    private let lock: FileLock?
    /// Requests that have a hold and no end in the files that were read.
    private(set) var running: Set<RequestID> = []

    /// - Throws: ``StoreError/database(_:)`` when there is nothing to read, or a gateway is using the directory.
    init(_ directory: String) throws(StoreError) {
        self.directory = directory
        let found: [String]
        do {
            found = try FileManager.default.contentsOfDirectory(atPath: directory)
        } catch { throw .database("cannot read \(directory): \(error.localizedDescription)") }
        names = found.compactMap { name in Self.number(name).map { ($0, name) } }.sorted { $0 < $1 }.map(\.1)
        guard !names.isEmpty else { throw .database("there are no journal files (journal-00000001.log, …) in \(directory)") }
        lock =
            found.contains("journal.lock")
            ? try FileLock(
                directory + "/journal.lock", holder: "a gateway is using \(directory) (journal.lock is held); stop it first", isNew: false)
            : nil
    }

    var files: [String] { names }

    /// `journal-00000001.log`, `.kept`, `.2.kept`, `.damaged`, `.damaged.read`.
    private static func number(_ name: String) -> UInt32? {
        guard name.hasPrefix("journal-"), let dot = name.firstIndex(of: ".") else { return nil }
        let ending = name[name.index(after: dot)...]
        guard ["log", "damaged", "damaged.read"].contains(ending) || ending.hasSuffix(KeptSegments.ending) else { return nil }
        return UInt32(name[name.index(name.startIndex, offsetBy: 8)..<dot])
    }

    /// Reads one file. Unreadable parts are counted and skipped.
    /// - Throws: ``StoreError/schema(_:)`` for records of a newer version, ``StoreError/database(_:)``.
    mutating func read(_ name: String) throws(StoreError) -> Contents {
        var contents = Contents(name: name)
        let file = try JournalFile(directory + "/" + name, O_RDONLY)
        let bytes = try file.read(try file.size(), at: 0)
        var problem: StoreError?
        bytes.withUnsafeBytes { bytes in
            do throws(StoreError) {
                try read(bytes, &contents)
            } catch { problem = error }
        }
        if let problem { throw problem }
        return contents
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer, _ contents: inout Contents) throws(StoreError) {
        let header: SegmentHeader
        switch SegmentHeader.read(bytes) {
        case .header(let found): header = found
        case .newer(let version): throw Self.newer(contents.name, "version \(version) of the file")
        case .broken:
            contents.lostBytes = bytes.count
            return
        }
        var end = SegmentHeader.size
        while let body = JournalReplay.next(bytes, from: end, header.salt) {
            contents.lostBytes += body.lowerBound - Frame.overhead - end
            end = body.upperBound
            do throws(RecordReader.Problem) {
                try take(UnsafeRawBufferPointer(rebasing: bytes[body]), &contents)
            } catch {
                switch error {
                case .newer(let what): throw Self.newer(contents.name, what)
                case .malformed: contents.lostBytes += body.count + Frame.overhead
                }
            }
        }
        contents.lostBytes += bytes.count - end
    }

    private mutating func take(_ body: UnsafeRawBufferPointer, _ contents: inout Contents) throws(RecordReader.Problem) {
        switch try JournalChange(body: body) {
        case .hold(let id): running.insert(id)
        case .settle(let id, _):
            running.remove(id)
            contents.settlements.append(try RequestRecord(body: body))
        case .clear(let ids): running.subtract(ids)
        case .note: contents.credits.append(try LedgerEntry(body: body))
        case .progress, .none: break
        }
    }

    private static func newer(_ name: String, _ what: String) -> StoreError {
        .schema("\(name) was written by a newer program (\(what)); use that one")
    }
}
