import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Reads single records at their positions. It keeps its files open, so that they may be removed in the meantime.
struct JournalReader: Sendable {
    private var files: [UInt32: (file: JournalFile, salt: UInt32)] = [:]

    init(_ directory: String, _ segments: [JournalSegment], _ places: [JournalPlace]) throws(StoreError) {
        for place in places where files[place.segment] == nil {
            let segment = segments[Int(place.segment - segments[0].number)]
            files[place.segment] = (try JournalFile(directory + "/" + segment.name, O_RDONLY), segment.salt)
        }
    }

    /// The kind and the contents of a record.
    func body(_ place: JournalPlace) throws(StoreError) -> [UInt8] {
        guard let (file, salt) = files[place.segment] else { throw .database("the journal has no file \(place.segment)") }
        let frame = try file.read(Int(place.length), at: Int(place.offset))
        guard let body = frame.withUnsafeBytes({ Frame.body($0, at: 0, salt: salt) }) else {
            throw .database("\(file.path) has changed on the disk at byte \(place.offset)")
        }
        return Array(frame[body])
    }
}

/// Reads a directory's journal files into an index. Changes nothing.
struct JournalReplay {
    private(set) var index = JournalIndex()
    /// Notes for the operator.
    private(set) var notes: [String] = []
    /// The name of a file that was created but never written to.
    private(set) var unborn: String?
    private let directory: String

    private struct Candidate {
        var number: UInt32
        var isDamaged: Bool
        var name: String { JournalSegment.name(number, isDamaged ? "damaged" : "log") }
    }

    /// - Throws: ``StoreError/database(_:)`` for a damaged file, ``StoreError/schema(_:)`` for a file of a newer version.
    init(_ directory: String) throws(StoreError) {
        self.directory = directory
        var files = try Self.candidates(directory)
        var headers: [SegmentHeader?] = []
        for (position, candidate) in files.enumerated() {
            let file = try JournalFile(directory + "/" + candidate.name, O_RDONLY)
            let size = try file.size()
            let bytes = try file.read(min(size, SegmentHeader.size), at: 0)
            switch bytes.withUnsafeBytes({ SegmentHeader.read($0) }) {
            case .header(let header):
                guard header.number == candidate.number else {
                    throw .database("\(file.path) is journal file number \(header.number) under another name; nothing has been changed")
                }
                headers.append(header)
            case .newer(let version): throw Self.newer(candidate, "version \(version) of the file")
            case .broken where candidate.isDamaged: headers.append(nil)
            case .broken where position == files.count - 1 && size <= SegmentHeader.size: unborn = file.path
            case .broken: throw Self.damaged(candidate, at: 0, "it has no header")
            }
        }
        if unborn != nil { files.removeLast() }
        for (position, candidate) in files.enumerated() {
            let isLast = position == files.count - 1
            try read(candidate, headers[position], size: isLast ? nil : headers[position + 1]?.previousSize, isLast: isLast)
        }
        index.sort()
    }

    private static func candidates(_ directory: String) throws(StoreError) -> [Candidate] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory)
        } catch { throw .database("cannot read \(directory): \(error.localizedDescription)") }
        let files = names.compactMap { name -> Candidate? in
            let parts = name.dropFirst(8).split(separator: ".", omittingEmptySubsequences: false)
            guard name.hasPrefix("journal-"), parts.count == 2, parts[1] == "log" || parts[1] == "damaged", let number = UInt32(parts[0])
            else { return nil }
            return Candidate(number: number, isDamaged: parts[1] == "damaged")
        }.sorted { $0.number < $1.number }
        for (file, next) in zip(files, files.dropFirst()) where next.number != file.number + 1 {
            let problem = next.number == file.number ? "is there twice" : "is not there, though \(file.name) and \(next.name) are"
            throw .database(
                "\(directory)/\(JournalSegment.name(next.number == file.number ? file.number : file.number + 1)) \(problem); put it right, nothing has been changed"
            )
        }
        return files
    }

    private static func newer(_ file: Candidate, _ what: String) -> StoreError {
        .schema("\(file.name) was written by a newer program (\(what)); start that program, nothing has been changed")
    }

    private static func damaged(_ file: Candidate, at offset: Int, _ why: String) -> StoreError {
        .database(
            """
            \(file.name) is damaged at byte \(offset): \(why). Nothing has been changed. Restore the file, or rename it to \
            \(JournalSegment.name(file.number, "damaged")) and start again: all records that can still be read are used then, and requests whose end \
            is lost are charged as estimated
            """)
    }

    /// - Parameter size: how much of the file counts, according to the header of the next file.
    private mutating func read(_ candidate: Candidate, _ header: SegmentHeader?, size: UInt64?, isLast: Bool) throws(StoreError) {
        var segment = JournalSegment(
            number: candidate.number, size: 0, salt: header?.salt ?? 0, isPower: header?.isPower ?? false, isDamaged: candidate.isDamaged)
        let file = try JournalFile(directory + "/" + candidate.name, O_RDONLY)
        let actual = try file.size()
        let limit = min(actual, size.flatMap { Int(exactly: $0) } ?? actual)
        if let size, size > actual, !candidate.isDamaged {
            throw Self.damaged(candidate, at: actual, "it ends there, and had \(size) bytes when the next file was begun")
        }
        segment.size = limit
        guard header != nil else {
            notes.append("\(candidate.name) has no header: nothing of its \(actual) bytes can be read")
            index.begin(segment)
            return
        }
        let content = try file.read(limit, at: 0)
        index.begin(segment)
        do {
            try content.withUnsafeBytes { bytes in
                try segment.isDamaged ? salvage(bytes, candidate, segment) : replay(bytes, candidate, segment, isLast)
            }
        } catch { throw error as? StoreError ?? .database("\(error)") }
    }

    private mutating func replay(
        _ bytes: UnsafeRawBufferPointer, _ candidate: Candidate, _ segment: JournalSegment, _ isLast: Bool
    ) throws(StoreError) {
        var offset = SegmentHeader.size
        while offset < bytes.count {
            guard let body = Frame.body(bytes, at: offset, salt: segment.salt) else {
                guard isLast, !Self.hasMore(bytes, after: offset, segment) else {
                    throw Self.damaged(candidate, at: offset, "no whole record begins there")
                }
                notes.append(
                    "\(candidate.name): its last \(bytes.count - offset) bytes are a record that was not written to its end; cut off")
                index.grow(offset - bytes.count)
                return
            }
            do {
                try take(bytes, offset, body, segment)
            } catch {
                switch error {
                case .newer(let what): throw Self.newer(candidate, what)
                case .malformed(let why): throw Self.damaged(candidate, at: offset, why)
                }
            }
            offset = body.upperBound
        }
    }

    private mutating func take(
        _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ body: Range<Int>, _ segment: JournalSegment
    ) throws(RecordReader.Problem) {
        let change = try JournalChange(body: UnsafeRawBufferPointer(rebasing: bytes[body]))
        index.apply(
            change,
            JournalPlace(segment: segment.number, offset: UInt32(offset), length: UInt32(body.upperBound - offset)))
    }

    /// Whether data after an invalid record shows that it is damage and not merely an unwritten end.
    ///
    /// A killed process leaves no hole, so any valid record after the invalid one is a sign of damage. A loss of power may leave a hole in
    /// the group that was being written, which had not been confirmed to anyone; only the beginning of a later group shows that this one
    /// had been on the disk.
    private static func hasMore(_ bytes: UnsafeRawBufferPointer, after offset: Int, _ segment: JournalSegment) -> Bool {
        var position = offset + 1
        while let body = next(bytes, from: position, segment.salt) {
            if !segment.isPower || bytes[body.lowerBound] == RecordKind.group.rawValue { return true }
            position = body.upperBound
        }
        return false
    }

    static func next(_ bytes: UnsafeRawBufferPointer, from start: Int, _ salt: UInt32) -> Range<Int>? {
        var position = start
        while position + Frame.overhead < bytes.count {
            if let body = Frame.body(bytes, at: position, salt: salt) { return body }
            position += 1
        }
        return nil
    }

    /// Recovers the records that can be read.
    private mutating func salvage(_ bytes: UnsafeRawBufferPointer, _ candidate: Candidate, _ segment: JournalSegment) throws(StoreError) {
        var end = SegmentHeader.size
        var lost = 0
        while let body = Self.next(bytes, from: end, segment.salt) {
            let offset = body.lowerBound - Frame.overhead
            lost += offset - end
            end = body.upperBound
            do {
                try take(bytes, offset, body, segment)
            } catch {
                if case .newer(let what) = error { throw Self.newer(candidate, what) }
                lost += body.upperBound - offset
            }
        }
        lost += bytes.count - end
        notes.append("\(candidate.name): \(lost) of \(bytes.count) bytes could not be read; the rest is used")
    }
}
