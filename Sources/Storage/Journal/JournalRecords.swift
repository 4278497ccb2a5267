import RouterCore

/// The kind of a record in a journal file. Numbers are never reused.
enum RecordKind: UInt8 {
    case hold = 1
    case settle = 2
    case progress = 3
    /// Ids of settlements that are in the ledger.
    case cleared = 4
    /// The beginning of a group whose writer waits for the disk (`power`): everything before it in this file is on the disk.
    case group = 5
    /// A credit that is in the ledger. It changes nothing in the index; it is needed when the ledger is restored from a backup.
    case credit = 6
}

/// The effect of a record on the index.
enum JournalChange: Sendable {
    case hold(RequestID)
    case settle(RequestID, sequence: UInt64)
    case progress(RequestID)
    case clear([RequestID])
    /// A record that is only meant for people.
    case note
    case none

    var isClear: Bool { if case .clear = self { true } else { false } }

    var kind: RecordKind {
        switch self {
        case .hold: .hold
        case .settle: .settle
        case .progress: .progress
        case .clear: .cleared
        case .note: .credit
        case .none: .group
        }
    }
}

// The contents of every kind begin with a version. A new field goes to the end and raises the version; the reader uses the field's default
// for records of an older version. JournalFormatTests counts the fields, so that none is forgotten here.

extension RecordBuffer {
    mutating func hold(_ hold: HoldRecord) {
        byte(HoldRecord.journalVersion)
        fixed(hold.requestID.bits)
        integer(hold.userID)
        integer(hold.tokenID)
        integer(hold.amount.nanos)
        text(hold.model)
        text(hold.endpoint.rawValue)
        flag(hold.isStream)
        integer(hold.promptTokens)
        integer(hold.promptCharge.nanos)
        integer(hold.pricingVersion)
        text(hold.clientIP)
        integer(hold.createdAt)
        // From version 2 on.
        integer(hold.ratio?.millionths)
        integer(hold.ceiling?.nanos)
        // From version 3 on.
        integer(hold.accountID)
    }

    /// - Parameter sequence: the position in the order of settlements, which copies keep.
    mutating func settle(_ record: RequestRecord, sequence: UInt64) {
        byte(RequestRecord.journalVersion)
        fixed(record.requestID.bits)
        unsigned(sequence)
        integer(record.userID)
        integer(record.tokenID)
        integer(record.channelID)
        text(record.provider)
        text(record.model)
        text(record.upstreamModel)
        text(record.endpoint.rawValue)
        usage(record.usage)
        text(record.usageSource.rawValue)
        integer(record.charge?.nanos)
        integer(record.pricingVersion)
        text(record.outcome.rawValue)
        integer(Int64(record.status))
        text(record.errorCode)
        flag(record.isStream)
        integer(Int64(record.attempts))
        unsigned(UInt64(record.attemptList.count))
        for attempt in record.attemptList { self.attempt(attempt) }
        text(record.generationID)
        integer(record.latencyMilliseconds)
        integer(record.firstTokenMilliseconds)
        text(record.clientIP)
        integer(record.createdAt)
        // From version 2 on.
        text(record.usage.serviceTier)
        // From version 3 on.
        integer(record.uncharged.nanos)
        integer(record.ceiling?.nanos)
        integer(record.ratio?.millionths)
        // From version 4 on.
        unsigned(UInt64(record.droppedFields.count))
        for name in record.droppedFields { text(name) }
        text(record.answerID)
        text(record.finish?.rawValue)
        integer(record.usage.imageInput)
        // From version 5 on.
        integer(record.accountID)
        // From version 6 on.
        cost(record.vendorCost)
        for attempt in record.attemptList { cost(attempt.cost) }
    }

    private mutating func cost(_ cost: VendorCost?) {
        integer(cost?.amount.nanos)
        if let cost { flag(cost.source == .reported) }
    }

    private mutating func usage(_ usage: Usage) {
        integer(usage.uncachedInput)
        integer(usage.cacheRead)
        integer(usage.cacheWrite5m)
        integer(usage.cacheWrite1h)
        integer(usage.output)
        integer(usage.reasoning)
        integer(usage.audioInput)
        integer(usage.audioOutput)
        integer(usage.images)
        integer(usage.searches)
        integer(usage.characters)
        integer(usage.audioMilliseconds)
        integer(usage.requests)
        integer(usage.upstreamCost?.femtos)
    }

    private mutating func attempt(_ attempt: AttemptRecord) {
        integer(attempt.channelID)
        text(attempt.upstreamModel)
        integer(attempt.status.map(Int64.init))
        text(attempt.kind?.rawValue)
        integer(attempt.milliseconds)
        integer(attempt.billedTokens)
        integer(attempt.upstreamCost?.nanos)
    }

    mutating func progress(_ progress: ProgressRecord) {
        byte(ProgressRecord.journalVersion)
        fixed(progress.requestID.bits)
        integer(progress.channelID)
        text(progress.provider)
        text(progress.model)
        text(progress.upstreamModel)
        text(progress.generationID)
        integer(progress.promptTokens)
        integer(progress.completionTokens)
        integer(progress.charge.nanos)
        integer(progress.pricingVersion)
        // From version 2 on.
        integer(progress.cost?.nanos)
    }

    mutating func cleared(_ ids: some Collection<RequestID>) {
        byte(1)
        unsigned(UInt64(ids.count))
        for id in ids { fixed(id.bits) }
    }
}

extension RecordBuffer {
    mutating func credit(_ entry: LedgerEntry) {
        byte(LedgerEntry.journalVersion)
        integer(entry.id)
        integer(entry.userID)
        integer(entry.amount.nanos)
        integer(entry.balanceAfter.nanos)
        text(entry.kind.rawValue)
        text(entry.referenceID)
        text(entry.description)
        integer(entry.createdAt)
        // From version 2 on.
        integer(entry.accountID)
        text(entry.source)
    }
}

extension LedgerEntry {
    static let journalVersion: UInt8 = 2

    init(body: UnsafeRawBufferPointer) throws(RecordReader.Problem) {
        var reader = try RecordReader(body, .credit, upTo: Self.journalVersion)
        self.init(
            id: try reader.integer(), userID: try reader.integer(), amount: NanoUSD(nanos: try reader.integer()),
            balanceAfter: NanoUSD(nanos: try reader.integer()), kind: try reader.value(TransactionKind.self, "kind of entry"),
            referenceID: try reader.text(), description: try reader.text(), createdAt: try reader.integer())
        guard reader.version >= 2 else { return }
        accountID = try reader.integerOrNil()
        source = try reader.textOrNil()
    }
}

extension HoldRecord {
    static let journalVersion: UInt8 = 3

    init(body: UnsafeRawBufferPointer) throws(RecordReader.Problem) {
        var reader = try RecordReader(body, .hold, upTo: Self.journalVersion)
        self.init(
            requestID: try reader.id(), userID: try reader.integer(), tokenID: try reader.integerOrNil(),
            amount: NanoUSD(nanos: try reader.integer()), model: try reader.text(), endpoint: try reader.value(Endpoint.self, "endpoint"),
            isStream: try reader.flag(), promptTokens: try reader.integer(), promptCharge: NanoUSD(nanos: try reader.integer()),
            pricingVersion: try reader.integer(), clientIP: try reader.text(), createdAt: try reader.integer())
        guard reader.version >= 2 else { return }
        ratio = try reader.integerOrNil().map { PriceRatio(millionths: $0) }
        ceiling = try reader.integerOrNil().map { NanoUSD(nanos: $0) }
        guard reader.version >= 3 else { return }
        accountID = try reader.integerOrNil()
    }
}

extension RequestRecord {
    static let journalVersion: UInt8 = 6

    init(body: UnsafeRawBufferPointer) throws(RecordReader.Problem) {
        var reader = try RecordReader(body, .settle, upTo: Self.journalVersion)
        let id = try reader.id()
        _ = try reader.unsigned()
        self.init(
            requestID: id, userID: try reader.integer(), tokenID: try reader.integerOrNil(), channelID: try reader.integerOrNil(),
            provider: try reader.text(), model: try reader.text(), upstreamModel: try reader.text(),
            endpoint: try reader.value(Endpoint.self, "endpoint"), usage: try reader.usage(),
            usageSource: try reader.value(UsageSource.self, "source of usage"),
            charge: try reader.integerOrNil().map { NanoUSD(nanos: $0) },
            pricingVersion: try reader.integer(), outcome: try reader.value(RequestRecord.Outcome.self, "outcome"),
            status: Int(try reader.integer()), errorCode: try reader.textOrNil(), isStream: try reader.flag(),
            attempts: Int(try reader.integer()), attemptList: try reader.attempts(), generationID: try reader.textOrNil(),
            latencyMilliseconds: try reader.integer(), firstTokenMilliseconds: try reader.integerOrNil(), clientIP: try reader.text(),
            createdAt: try reader.integer())
        if reader.version >= 2 { usage.serviceTier = try reader.textOrNil() }
        guard reader.version >= 3 else { return }
        uncharged = NanoUSD(nanos: try reader.integer())
        ceiling = try reader.integerOrNil().map { NanoUSD(nanos: $0) }
        ratio = try reader.integerOrNil().map { PriceRatio(millionths: $0) }
        guard reader.version >= 4 else { return }
        for _ in 0..<(try reader.unsigned()) { droppedFields.append(try reader.text()) }
        answerID = try reader.textOrNil()
        finish = try reader.flag() ? try reader.value(AnswerFinish.self, "end of an answer") : nil
        usage.imageInput = try reader.integer()
        guard reader.version >= 5 else { return }
        accountID = try reader.integerOrNil()
        guard reader.version >= 6 else { return }
        vendorCost = try reader.cost()
        for index in attemptList.indices { attemptList[index].cost = try reader.cost() }
    }
}

extension ProgressRecord {
    static let journalVersion: UInt8 = 2

    init(body: UnsafeRawBufferPointer) throws(RecordReader.Problem) {
        var reader = try RecordReader(body, .progress, upTo: Self.journalVersion)
        self.init(
            requestID: try reader.id(), channelID: try reader.integer(), provider: try reader.text(), model: try reader.text(),
            upstreamModel: try reader.text(), generationID: try reader.textOrNil(), promptTokens: try reader.integer(),
            completionTokens: try reader.integer(), charge: NanoUSD(nanos: try reader.integer()), pricingVersion: try reader.integer())
        if reader.version >= 2 { cost = try reader.integerOrNil().map { NanoUSD(nanos: $0) } }
    }
}

extension RecordReader {
    /// Starts after the kind and reads the version.
    fileprivate init(_ body: UnsafeRawBufferPointer, _ kind: RecordKind, upTo version: UInt8) throws(Problem) {
        self.init(body)
        guard try byte() == kind.rawValue else { throw .malformed("not a record of the kind \(kind)") }
        self.version = try known(kind, upTo: version)
    }

    private mutating func known(_ kind: RecordKind, upTo version: UInt8) throws(Problem) -> UInt8 {
        let found = try byte()
        guard found > 0, found <= version else { throw .newer("version \(found) of the record '\(kind)'") }
        return found
    }

    fileprivate mutating func id() throws(Problem) -> RequestID { RequestID(bits: try fixed(UInt128.self)) }

    fileprivate mutating func usage() throws(Problem) -> Usage {
        Usage(
            uncachedInput: try integer(), cacheRead: try integer(), cacheWrite5m: try integer(), cacheWrite1h: try integer(),
            output: try integer(), reasoning: try integer(), audioInput: try integer(), audioOutput: try integer(),
            images: try integer(), searches: try integer(), characters: try integer(), audioMilliseconds: try integer(),
            requests: try integer(), upstreamCost: try integerOrNil().map { FemtoUSD(femtos: $0) })
    }

    fileprivate mutating func cost() throws(Problem) -> VendorCost? {
        guard let nanos = try integerOrNil() else { return nil }
        return VendorCost(NanoUSD(nanos: nanos), try flag() ? .reported : .computed)
    }

    fileprivate mutating func attempts() throws(Problem) -> [AttemptRecord] {
        var attempts: [AttemptRecord] = []
        for _ in 0..<(try unsigned()) {
            attempts.append(
                AttemptRecord(
                    channelID: try integer(), upstreamModel: try text(), status: try integerOrNil().map { Int($0) },
                    kind: try flag() ? try value(FailureKind.self, "failure") : nil, milliseconds: try integer(),
                    billedTokens: try integerOrNil(), upstreamCost: try integerOrNil().map { NanoUSD(nanos: $0) }))
        }
        return attempts
    }
}

extension JournalChange {
    /// The decoded body of a record. The contents are read completely, so that a record of a newer version is detected at start-up and not
    /// only when it is needed.
    init(body: UnsafeRawBufferPointer) throws(RecordReader.Problem) {
        var reader = RecordReader(body)
        let number = try reader.byte()
        guard let kind = RecordKind(rawValue: number) else { throw .newer("a record of the kind \(number)") }
        switch kind {
        case .hold: self = .hold(try HoldRecord(body: body).requestID)
        case .progress: self = .progress(try ProgressRecord(body: body).requestID)
        case .settle:
            _ = try RequestRecord(body: body)
            _ = try reader.byte()
            self = .settle(try reader.id(), sequence: try reader.unsigned())
        case .cleared:
            guard try reader.byte() == 1 else { throw .newer("a later version of the record 'cleared'") }
            var ids: [RequestID] = []
            for _ in 0..<(try reader.unsigned()) { ids.append(try reader.id()) }
            self = .clear(ids)
        case .credit:
            _ = try LedgerEntry(body: body)
            self = .note
        case .group: self = .none
        }
    }
}
