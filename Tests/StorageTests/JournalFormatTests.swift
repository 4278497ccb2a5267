import RouterCore
import Testing

@testable import Storage

/// Bytes of records. `record` and `hold` have a different value in each of their fields.
struct JournalFormatTests {
    private func body(_ kind: RecordKind, _ contents: (inout RecordBuffer) -> Void) throws -> [UInt8] {
        var buffer = RecordBuffer()
        let frame = try buffer.frame(kind, salt: 9, contents)
        #expect(Frame.body(buffer.bytes, at: 0, salt: 8) == nil)
        let body = try #require(Frame.body(buffer.bytes, at: 0, salt: 9))
        #expect(frame == 0..<body.upperBound)
        return Array(buffer.bytes[body])
    }

    @Test func `the checksum is CRC-32C`() {
        #expect(Array("123456789".utf8).withUnsafeBytes { CRC32C.checksum($0) } == 0xE306_9283)
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { CRC32C.checksum($0) } == 0x8A91_36AA)
        #expect(Array(0...31 as ClosedRange<UInt8>).withUnsafeBytes { CRC32C.checksum($0) } == 0x46DD_794E)
    }

    @Test func `records come back as they were`() throws {
        var records = [record(1, user: 1, charge: 10), record(2, user: 2, charge: nil)]
        records[0].usage.serviceTier = "flex"
        records[0].accountID = 5
        records[1].usage = Usage()
        records[1].attemptList = []
        (records[1].tokenID, records[1].channelID, records[1].errorCode) = (nil, nil, nil)
        (records[1].generationID, records[1].firstTokenMilliseconds) = (nil, nil)
        (records[1].answerID, records[1].finish) = (nil, nil)
        (records[1].uncharged, records[1].ceiling, records[1].ratio) = (.zero, nil, nil)
        records[1].vendorCost = nil
        (records[1].userID, records[1].latencyMilliseconds, records[1].createdAt) = (.min, .max, -1)
        (records[1].model, records[1].upstreamModel, records[1].isStream) = ("", "模型 \u{0} 🧮", false)
        for record in records {
            let body = try body(.settle) { $0.settle(record, sequence: .max) }
            #expect(try body.withUnsafeBytes { try RequestRecord(body: $0) } == record)
        }
        var hold = hold(3)
        #expect(try body(.hold) { $0.hold(hold) }.withUnsafeBytes { try HoldRecord(body: $0) } == hold)
        (hold.ratio, hold.ceiling, hold.accountID) = (nil, nil, 5)
        #expect(try body(.hold) { $0.hold(hold) }.withUnsafeBytes { try HoldRecord(body: $0) } == hold)
        var progress = progress(4, 17)
        #expect(try body(.progress) { $0.progress(progress) }.withUnsafeBytes { try ProgressRecord(body: $0) } == progress)
        progress.cost = nil
        #expect(try body(.progress) { $0.progress(progress) }.withUnsafeBytes { try ProgressRecord(body: $0) } == progress)
    }

    @Test func `records of earlier versions get the defaults of what they lack`() throws {
        var record = record(1, user: 1, charge: 1)
        record.usage.serviceTier = nil
        record.usage.imageInput = 0
        (record.uncharged, record.ceiling, record.ratio) = (.zero, nil, nil)
        (record.answerID, record.finish, record.droppedFields) = (nil, nil, [])
        record.vendorCost = nil
        for index in record.attemptList.indices { record.attemptList[index].cost = nil }
        var body = try body(.settle) { $0.settle(record, sequence: 3) }
        // The kind stands first, then the version; each of the fields takes one byte at the end when it is zero or absent.
        body[1] = 4
        body.removeLast(2 + record.attemptList.count)
        #expect(try body.withUnsafeBytes { try RequestRecord(body: $0) } == record)
        body[1] = 3
        body.removeLast(4)
        #expect(try body.withUnsafeBytes { try RequestRecord(body: $0) } == record)
        body[1] = 2
        body.removeLast(3)
        #expect(try body.withUnsafeBytes { try RequestRecord(body: $0) } == record)
        body[1] = 1
        body.removeLast()
        #expect(try body.withUnsafeBytes { try RequestRecord(body: $0) } == record)

        var hold = hold(3)
        (hold.ratio, hold.ceiling) = (nil, nil)
        var old = try self.body(.hold) { $0.hold(hold) }
        old[1] = 2
        old.removeLast(1)
        #expect(try old.withUnsafeBytes { try HoldRecord(body: $0) } == hold)
        old[1] = 1
        old.removeLast(2)
        #expect(try old.withUnsafeBytes { try HoldRecord(body: $0) } == hold)

        var progress = progress(4, 17)
        progress.cost = nil
        old = try self.body(.progress) { $0.progress(progress) }
        old[1] = 1
        old.removeLast()
        #expect(try old.withUnsafeBytes { try ProgressRecord(body: $0) } == progress)
    }

    @Test(arguments: Endpoint.allCases) func `every endpoint and failure can be journaled`(_ endpoint: Endpoint) throws {
        var record = record(1, user: 1, charge: 1)
        record.endpoint = endpoint
        record.attemptList = FailureKind.allCases.map { AttemptRecord(channelID: 1, upstreamModel: "m", kind: $0, milliseconds: 1) }
        #expect(try body(.settle) { $0.settle(record, sequence: 0) }.withUnsafeBytes { try RequestRecord(body: $0) } == record)
    }

    @Test func `a field that is added is not forgotten here`() {
        // When this fails: write the field at the end of its record (JournalRecords.swift), raise the record's version, let the reader fill
        // in the default for older versions, and give the field a value in `record` or `hold`.
        func fields(_ value: Any) -> Int { Mirror(reflecting: value).children.count }
        #expect(fields(record(1, user: 1, charge: 1)) == 31)
        #expect(fields(record(1, user: 1, charge: 1).usage) == 16)
        #expect(fields(record(1, user: 1, charge: 1).attemptList[0]) == 8)
        #expect(fields(hold(1)) == 15)
        #expect(fields(progress(1, 1)) == 11)
    }

    @Test func `a record cannot be read beyond its end`() throws {
        let whole = try body(.settle) { $0.settle(record(1, user: 1, charge: 1), sequence: 5) }
        for length in 0..<whole.count {
            #expect(throws: RecordReader.Problem.self) {
                try Array(whole[..<length]).withUnsafeBytes { _ = try JournalChange(body: $0) }
            }
        }
    }

    @Test func `what a newer program wrote is known as such`() throws {
        func isNewer(_ body: [UInt8]) -> Bool {
            do {
                _ = try body.withUnsafeBytes { try JournalChange(body: $0) }
                return false
            } catch RecordReader.Problem.newer { return true } catch { return false }
        }
        for (kind, contents) in [
            (RecordKind.hold, try body(.hold) { $0.hold(hold(1)) }),
            (.settle, try body(.settle) { $0.settle(record(1, user: 1, charge: 1), sequence: 0) }),
            (.progress, try body(.progress) { $0.progress(progress(1, 1)) }),
            (.cleared, try body(.cleared) { $0.cleared([RequestID(bits: 1)]) }),
        ] {
            var newer = contents
            newer[1] += 1
            #expect(isNewer(newer) && !isNewer(contents), "\(kind)")
        }
        #expect(isNewer([77, 1]))
    }
}
