public import RouterCore

/// The sums of a number of rows of the log.
public struct UsageSums: Sendable, Hashable {
    public var requests: Int64 = 0
    /// Those that failed or were cut.
    public var errors: Int64 = 0
    /// The errors that are no client's fault.
    public var faults: Int64 = 0
    /// Those that were not charged.
    public var void: Int64 = 0
    public var charge = NanoUSD.zero
    /// The cost as vendors reported it.
    public var upstreamCost = NanoUSD.zero
    public var promptTokens: Int64 = 0
    public var completionTokens: Int64 = 0
    public var cachedTokens: Int64 = 0
    /// Sum of the milliseconds to the first content, where there was one.
    public var firstTokenMilliseconds: Int64 = 0
    /// Sum of the milliseconds of the answers that were charged.
    public var latencyMilliseconds: Int64 = 0
    /// The vendors' bills, reported or computed, failed attempts included.
    public var cost = NanoUSD.zero
    /// Charged requests whose cost is unknown, and their charges: no margin is known of them.
    public var uncosted: Int64 = 0
    public var uncostedCharge = NanoUSD.zero
    /// Tokens of streams that came to their end, and the milliseconds from their first content to their end.
    public var generatedTokens: Int64 = 0
    public var generationMilliseconds: Int64 = 0
    public var firstToken = LatencyHistogram()
    public var latency = LatencyHistogram()

    public init() {}

    public init(_ record: RequestRecord) {
        requests = 1
        let isError = record.outcome == .failed || record.outcome == .truncated
        errors = isError ? 1 : 0
        let isFault = record.outcome == .truncated || record.outcome == .failed && (record.status >= 500 || record.status == 429)
        faults = isFault ? 1 : 0
        void = record.charge == nil ? 1 : 0
        charge = record.charge ?? .zero
        upstreamCost = record.usage.upstreamCost?.roundedToNano ?? .zero
        if let known = record.knownCost {
            cost = known.amount
        } else if let charge = record.charge {
            uncosted = 1
            uncostedCharge = charge
        }
        promptTokens = record.usage.promptTokens
        completionTokens = record.usage.completionTokens
        cachedTokens = record.usage.cacheRead
        if let first = record.firstTokenMilliseconds {
            firstTokenMilliseconds = first
            firstToken.add(milliseconds: first)
            if record.isStream, record.outcome == .completed, first < record.latencyMilliseconds {
                generatedTokens = completionTokens
                generationMilliseconds = record.latencyMilliseconds - first
            }
        }
        if record.charge != nil, record.latencyMilliseconds > 0 {
            latencyMilliseconds = record.latencyMilliseconds
            latency.add(milliseconds: record.latencyMilliseconds)
        }
    }

    public var tokens: Int64 { Self.saturating(promptTokens, completionTokens) }

    /// Earned with the requests whose cost is known. A difference stays at the end of its range.
    public var margin: NanoUSD {
        let exact = Int128(charge.nanos) - Int128(uncostedCharge.nanos) - Int128(cost.nanos)
        return NanoUSD(nanos: Int64(clamping: exact))
    }

    /// A sum stays at the end of its range: it must not hold up the posting of charges.
    public mutating func add(_ other: UsageSums) {
        figures = zip(figures, other.figures).map(Self.saturating)
        firstToken.add(other.firstToken)
        latency.add(other.latency)
    }

    /// The difference to `old`.
    func difference(from old: UsageSums) -> UsageSums {
        var change = UsageSums()
        change.figures = zip(figures, old.figures).map { $0 &- $1 }
        change.firstToken = LatencyHistogram(counts: zip(firstToken.counts, old.firstToken.counts).map { $0 - $1 })
        change.latency = LatencyHistogram(counts: zip(latency.counts, old.latency.counts).map { $0 - $1 })
        return change
    }

    static func saturating(_ one: Int64, _ other: Int64) -> Int64 {
        let (sum, overflowed) = one.addingReportingOverflow(other)
        return overflowed ? .max : sum
    }

    // MARK: Columns

    /// Columns of the figures.
    static let figureColumns = [
        "requests", "errors", "faults", "void", "charge_nanos", "upstream_cost_nanos", "prompt_tokens", "completion_tokens",
        "cached_tokens", "first_token_ms", "latency_ms", "generated_tokens", "generation_ms", "uncosted", "vendor_cost_nanos",
        "uncosted_charge_nanos",
    ]
    /// Columns of the histograms, with two classes each.
    static let classColumns = ["first", "latency"].flatMap { name in
        (0..<LatencyHistogram.classes / 2).map { "\(name)_\($0 < 10 ? "0" : "")\($0)" }
    }

    /// In the order of ``figureColumns``.
    var figures: [Int64] {
        get {
            [
                requests, errors, faults, void, charge.nanos, upstreamCost.nanos, promptTokens, completionTokens, cachedTokens,
                firstTokenMilliseconds, latencyMilliseconds, generatedTokens, generationMilliseconds, uncosted, cost.nanos,
                uncostedCharge.nanos,
            ]
        }
        set {
            (requests, errors, faults, void) = (newValue[0], newValue[1], newValue[2], newValue[3])
            charge = NanoUSD(nanos: newValue[4])
            upstreamCost = NanoUSD(nanos: newValue[5])
            (promptTokens, completionTokens, cachedTokens) = (newValue[6], newValue[7], newValue[8])
            (firstTokenMilliseconds, latencyMilliseconds) = (newValue[9], newValue[10])
            (generatedTokens, generationMilliseconds, uncosted) = (newValue[11], newValue[12], newValue[13])
            cost = NanoUSD(nanos: newValue[14])
            uncostedCharge = NanoUSD(nanos: newValue[15])
        }
    }

    /// In the order of ``classColumns``; nil = none in either class of the column.
    var classes: [Int64?] {
        let counts = firstToken.counts + latency.counts
        return stride(from: 0, to: counts.count, by: 2).map { index in
            // The upper one is counted in steps of 2³²; a sum of two such columns is right as long as neither class reaches that.
            let both = counts[index] + counts[index + 1] << 32
            return both == 0 ? nil : both
        }
    }
}
