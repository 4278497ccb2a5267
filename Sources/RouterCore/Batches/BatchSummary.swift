/// The most that the lines of an input file may consume: all that the hold of a batch needs, kept with the file.
public struct BatchSummary: Sendable, Hashable {
    public var lines: Int64 = 0
    public var promptTokens: Int64 = 0
    /// The prompt of the longest line, by which the tiers of a price go.
    public var largestPrompt: Int64 = 0
    /// Over all answers of all lines.
    public var outputTokens: Int64 = 0
    public var images: Int64 = 0
    /// The figures are upper bounds (strict admission), not estimates.
    public var isStrict = false

    public init() {}

    public mutating func add(_ bound: UsageBound) throws(MeteringError) {
        lines += 1
        promptTokens = try Self.sum(promptTokens, bound.promptTokens)
        largestPrompt = max(largestPrompt, bound.promptTokens)
        let (output, overflowed) = bound.outputTokens.multipliedReportingOverflow(by: bound.choices)
        if overflowed { throw .overflow }
        outputTokens = try Self.sum(outputTokens, output)
        images = try Self.sum(images, bound.images)
    }

    private static func sum(_ left: Int64, _ right: Int64) throws(MeteringError) -> Int64 {
        let (sum, overflowed) = left.addingReportingOverflow(right)
        if overflowed || right < 0 { throw .overflow }
        return sum
    }

    public var json: JSONValue {
        [
            "lines": .integer(lines), "prompt_tokens": .integer(promptTokens), "largest_prompt": .integer(largestPrompt),
            "output_tokens": .integer(outputTokens), "images": .integer(images), "strict": .boolean(isStrict),
        ]
    }

    /// - Returns: nil for JSON that ``json`` has not written.
    public init?(_ json: JSONValue) {
        guard let lines = json["lines"]?.integerValue, let prompt = json["prompt_tokens"]?.integerValue,
            let largest = json["largest_prompt"]?.integerValue, let output = json["output_tokens"]?.integerValue,
            let images = json["images"]?.integerValue, let isStrict = json["strict"]?.boolValue
        else { return nil }
        self.lines = lines
        promptTokens = prompt
        largestPrompt = largest
        outputTokens = output
        self.images = images
        self.isStrict = isStrict
    }
}

extension ModelPrice {
    /// The name of the service tier that batches are charged at.
    public static let batchTier = "batch"

    /// The prices of a batch as a price of its own, without other tiers; nil = the model has no prices of the tier `batch`. A model that
    /// costs nothing costs nothing in a batch.
    public var ofBatch: ModelPrice? {
        guard basis == .metered else { return nil }
        guard let tier = serviceTiers.first(where: { $0.name == Self.batchTier }) else { return isCharged ? nil : .free }
        var price = self
        price.rates = tier.rates
        price.tiers = tier.tiers
        price.serviceTiers = []
        return price
    }
}

extension PriceQuote {
    /// The most that a batch can cost, for its hold.
    /// - Precondition: the price is one ``ModelPrice/ofBatch``.
    public func worstCase(of batch: BatchSummary) throws(MeteringError) -> NanoUSD {
        var sum = ExactSum()
        let rates = price.allRates(promptTokens: batch.largestPrompt, [])
        try sum.add(batch.promptTokens, rates.map(\.dearestInput).max() ?? .zero)
        try sum.add(batch.outputTokens, rates.map(\.dearestOutput).max() ?? .zero)
        try sum.add(batch.images, price.image)
        try sum.add(batch.lines, price.request)
        return try sum.times(ratio).roundedUp
    }
}

/// The sum of a batch's answers, each priced by its own size; the sum is rounded once.
public struct BatchBill: Sendable {
    private let quote: PriceQuote
    private var sum = ExactSum()
    public private(set) var usage = Usage(requests: 0)
    /// Answers whose usage was not told and has been estimated.
    public private(set) var estimated: Int64 = 0

    /// - Parameter quote: with the prices of a batch (``ModelPrice/ofBatch``).
    public init(_ quote: PriceQuote) {
        self.quote = quote
        usage.serviceTier = ModelPrice.batchTier
    }

    /// Adds one answer. - Throws: ``MeteringError``; the answer is then not in the sum.
    public mutating func add(_ answer: Usage, isEstimated: Bool = false) throws(MeteringError) {
        var next = sum
        try next.add(try quote.exactSum(for: answer, nil))
        var all = usage
        try all.add(answer)
        sum = next
        usage = all
        if isEstimated { estimated += 1 }
    }

    /// At most the quote's ceiling.
    public func total() throws(MeteringError) -> Bill {
        let amount = try sum.times(quote.ratio).roundedHalfUp
        guard let ceiling = quote.ceiling, amount > ceiling else { return Bill(charge: amount, serviceTier: ModelPrice.batchTier) }
        return Bill(charge: ceiling, uncharged: (try? amount.subtracting(ceiling)) ?? .zero, serviceTier: ModelPrice.batchTier)
    }
}

/// A vendor's bill for a batch: each answer by its own size, the sum rounded once, as with ``BatchBill``.
public struct BatchCost: Sendable {
    private var bill: BatchBill?

    /// - Parameter price: what the vendor bills for the model; nil, or without prices of a batch = unknown.
    public init(_ price: CostPrice?) {
        bill = price.flatMap { cost in cost.price.ofBatch.map { BatchBill(PriceQuote(price: $0, ratio: cost.ratio, version: 0)) } }
    }

    /// Adds one answer. Figures that are impossible make the whole unknown.
    public mutating func add(_ answer: Usage) {
        do { try bill?.add(answer) } catch { bill = nil }
    }

    public var total: VendorCost? { bill.flatMap { try? $0.total() }.map { VendorCost($0.charge, .computed) } }
}

extension Usage {
    /// Adds the counts of another answer; what the vendor billed and the tier stay.
    mutating func add(_ other: Usage) throws(MeteringError) {
        for path in Self.counts {
            let (sum, overflowed) = self[keyPath: path].addingReportingOverflow(other[keyPath: path])
            if overflowed || other[keyPath: path] < 0 { throw .overflow }
            self[keyPath: path] = sum
        }
    }

    private static var counts: [WritableKeyPath<Usage, Int64>] {
        [
            \.imageInput, \.uncachedInput, \.cacheRead, \.cacheWrite5m, \.cacheWrite1h, \.output, \.reasoning, \.audioInput, \.audioOutput,
            \.images,
            \.searches, \.characters, \.audioMilliseconds, \.requests,
        ]
    }
}
