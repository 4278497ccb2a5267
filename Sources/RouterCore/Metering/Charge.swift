/// The reasons why an amount cannot be computed.
public enum MeteringError: Error, Sendable, Hashable {
    case overflow
    /// A negative count: the vendor's usage cannot be correct.
    case negativeUsage
    /// The model is charged by the vendor's reported cost and the vendor reported none.
    case upstreamCostMissing
}

/// The charge for a request.
public struct Bill: Sendable, Hashable {
    public var charge: NanoUSD
    /// The part of usage × price that is not charged because it exceeds ``PriceQuote/ceiling``: the operator bears it.
    public var uncharged: NanoUSD
    /// The service tier whose rates apply; nil = the usual ones.
    public var serviceTier: String?

    public init(charge: NanoUSD, uncharged: NanoUSD = .zero, serviceTier: String? = nil) {
        self.charge = charge
        self.uncharged = uncharged
        self.serviceTier = serviceTier
    }
}

extension PriceQuote {
    /// The charge of ``bill(for:)``. Both the cost shown to clients and the booked charge come from here.
    public func charge(for usage: Usage) throws(MeteringError) -> NanoUSD { try bill(for: usage).charge }

    /// The cost that a client is shown for its request (`usage.cost`); nil where the usage does not determine it.
    public func shownCharge(for usage: Usage?) -> NanoUSD? { usage.flatMap { try? charge(for: $0) } }

    /// usage × prices × ratio, in nano-dollars, rounded once, half up; at most ``ceiling``.
    ///
    /// Where the answer does not name the service tier that served it, the dearest possible tier is charged. A call that is answered at
    /// once was not a batch, so the batch tier is charged only where the answer names it.
    public func bill(for usage: Usage) throws(MeteringError) -> Bill {
        // The vendor's claim; it is ignored when it is not a valid tier name.
        var tier = usage.serviceTier.flatMap { ServiceTier.isName($0) ? $0 : nil }
        var amount = try amount(for: usage, tier)
        if tier == nil, askedTier != nil {
            for other in price.serviceTiers(asked: askedTier) where other.name != "batch" {
                let dearer = try self.amount(for: usage, other.name)
                if dearer > amount { (amount, tier) = (dearer, other.name) }
            }
        }
        guard let ceiling, amount > ceiling else { return Bill(charge: amount, serviceTier: tier) }
        let rest = try? amount.subtracting(ceiling)
        return Bill(charge: ceiling, uncharged: rest ?? .zero, serviceTier: tier)
    }

    /// Sums all products exactly, in 10⁻²¹ USD (femto-dollars × millionths of the ratio), in 128 bits.
    @inline(__always)
    func exactSum(for usage: Usage, _ tier: String?) throws(MeteringError) -> ExactSum {
        var sum = ExactSum()
        switch price.basis {
        case .upstreamCost:
            guard let cost = usage.upstreamCost else { throw .upstreamCostMissing }
            try sum.add(1, cost)
        case .metered:
            let rates = price.rates(promptTokens: usage.promptTokens, serviceTier: tier)
            guard usage.reasoning <= usage.output else { throw .negativeUsage }
            try sum.add(usage.uncachedInput, rates.input)
            try sum.add(usage.cacheRead, rates.cacheRead ?? rates.input)
            try sum.add(usage.cacheWrite5m, rates.cacheWrite5m ?? rates.input)
            try sum.add(usage.cacheWrite1h, rates.cacheWrite1h ?? rates.cacheWrite5m ?? rates.input)
            try sum.add(usage.audioInput, rates.audioInput ?? rates.input)
            if usage.imageInput != 0 { try sum.add(usage.imageInput, price.pictures?.input ?? rates.input) }
            try sum.add(usage.output - usage.reasoning, rates.output)
            try sum.add(usage.reasoning, rates.reasoning ?? rates.output)
            try sum.add(usage.audioOutput, rates.audioOutput ?? rates.output)
            try sum.add(usage.images, price.image)
            try sum.add(usage.requests, price.request)
            try sum.add(max(usage.searches, leastSearches), price.search)
            try sum.add(usage.characters, price.character)
            try sum.add(thousandths: usage.audioMilliseconds, price.audioSecond)
        }
        return sum
    }

    /// The sum after the group's factor, rounded.
    private func amount(for usage: Usage, _ tier: String?) throws(MeteringError) -> NanoUSD {
        let sum = try exactSum(for: usage, tier)
        let amount = try sum.times(ratio).roundedHalfUp
        guard coversReportedCost, price.basis == .metered, price.isCharged, let cost = usage.upstreamCost else { return amount }
        var reported = ExactSum()
        try reported.add(1, cost)
        return max(amount, try reported.times(ratio).roundedHalfUp)
    }

    /// The most that a request of this shape can cost, for the hold: every prompt token at the dearest prompt rate of the highest tier that
    /// can apply, every completion token at the dearest completion rate, in the dearest service tier that the request allows.
    ///
    /// For models charged by the vendor's reported cost there is no bound; the hold is then `fallback`.
    public func worstCase(_ bound: UsageBound, upstreamCostFallback fallback: NanoUSD) throws(MeteringError) -> NanoUSD {
        guard price.basis == .metered else {
            let (femtos, overflowed) = fallback.nanos.multipliedReportingOverflow(by: 1_000_000)
            guard !overflowed, femtos >= 0 else { throw .overflow }
            var sum = ExactSum()
            try sum.add(1, FemtoUSD(femtos: femtos))
            return try sum.times(ratio).roundedUp
        }
        var dearestInput = FemtoUSD.zero
        var dearestOutput = FemtoUSD.zero
        for rates in price.allRates(promptTokens: bound.promptTokens, price.serviceTiers(asked: askedTier)) {
            dearestInput = max(dearestInput, rates.dearestInput)
            dearestOutput = max(dearestOutput, rates.dearestOutput)
        }
        if let pictures = price.pictures?.input { dearestInput = max(dearestInput, pictures) }
        var sum = ExactSum()
        try sum.add(bound.promptTokens, dearestInput)
        let (output, overflowed) = bound.outputTokens.multipliedReportingOverflow(by: bound.choices)
        if overflowed { throw .overflow }
        try sum.add(output, dearestOutput)
        try sum.add(bound.images, price.image)
        try sum.add(1, price.request)
        try sum.add(bound.searches, price.search)
        try sum.add(bound.characters, price.character)
        try sum.add(thousandths: bound.audioMilliseconds, price.audioSecond)
        return try sum.times(ratio).roundedUp
    }
}

/// An upper bound (strict admission) or an estimate (standard) of what a request can consume.
public struct UsageBound: Sendable, Hashable {
    public var promptTokens: Int64
    /// Output tokens per choice.
    public var outputTokens: Int64
    public var choices: Int64
    public var images: Int64
    public var searches: Int64
    public var characters: Int64
    public var audioMilliseconds: Int64

    public init(
        promptTokens: Int64, outputTokens: Int64, choices: Int64 = 1, images: Int64 = 0, searches: Int64 = 0, characters: Int64 = 0,
        audioMilliseconds: Int64 = 0
    ) {
        self.promptTokens = promptTokens
        self.outputTokens = outputTokens
        self.choices = choices
        self.images = images
        self.searches = searches
        self.characters = characters
        self.audioMilliseconds = audioMilliseconds
    }
}

extension ModelPrice.Rates {
    var dearestInput: FemtoUSD {
        [cacheRead, cacheWrite5m, cacheWrite1h, audioInput].compactMap { $0 }.reduce(input, max)
    }
    var dearestOutput: FemtoUSD { [reasoning, audioOutput].compactMap { $0 }.reduce(output, max) }
}

/// Σ count × price in femto-dollars, then × ratio: exact in 128 bits until the single rounding at the end.
struct ExactSum {
    private var femtos: Int128 = 0
    /// The remainder below a femto-dollar, in thousandths of one: 0 to 999.
    private var thousandths: Int128 = 0
    private var ratioMillionths: Int128 = 1_000_000

    mutating func add(_ count: Int64, _ price: FemtoUSD) throws(MeteringError) {
        guard count >= 0 else { throw .negativeUsage }
        // 2^63 × 2^63 < 2^127: the product fits; only the sum can overflow.
        let (sum, overflowed) = femtos.addingReportingOverflow(Int128(count) * Int128(price.femtos))
        if overflowed { throw .overflow }
        femtos = sum
    }

    /// Like ``add(_:_:)``, for a count in thousandths of the price's unit (milliseconds at a price per second), without rounding.
    mutating func add(thousandths count: Int64, _ price: FemtoUSD) throws(MeteringError) {
        guard count >= 0 else { throw .negativeUsage }
        let (whole, rest) = (Int128(count) * Int128(price.femtos) + thousandths).quotientAndRemainder(dividingBy: 1_000)
        let (sum, overflowed) = femtos.addingReportingOverflow(whole)
        if overflowed { throw .overflow }
        femtos = sum
        thousandths = rest
    }

    /// Adds another sum of the same unit, without its factor.
    mutating func add(_ other: ExactSum) throws(MeteringError) {
        let (rest, sum) = (thousandths + other.thousandths, femtos.addingReportingOverflow(other.femtos))
        let (carried, overflowed) = sum.partialValue.addingReportingOverflow(rest / 1_000)
        if sum.overflow || overflowed { throw .overflow }
        femtos = carried
        thousandths = rest % 1_000
    }

    func times(_ ratio: PriceRatio) throws(MeteringError) -> ExactSum {
        var copy = self
        copy.ratioMillionths = Int128(ratio.millionths)
        return copy
    }

    /// 10⁻¹⁵ × 10⁻⁶ = 10⁻²¹ USD per unit of the product; a nano-dollar is 10¹² of them.
    private static let unitsPerNano: Int128 = 1_000_000_000_000

    /// The product in whole units, rounded down, and whether a fraction of a unit remains.
    private func product() throws(MeteringError) -> (units: Int128, hasRest: Bool) {
        let (whole, overflowed) = femtos.multipliedReportingOverflow(by: ratioMillionths)
        if overflowed { throw .overflow }
        let (carried, rest) = (thousandths * ratioMillionths).quotientAndRemainder(dividingBy: 1_000)
        let (units, carryOverflowed) = whole.addingReportingOverflow(carried)
        if carryOverflowed { throw .overflow }
        return (units, rest > 0)
    }

    var roundedHalfUp: NanoUSD {
        get throws(MeteringError) {
            // Half a nano-dollar is a whole number of units, so a fraction of a unit cannot change the rounding.
            let (quotient, remainder) = try product().units.quotientAndRemainder(dividingBy: Self.unitsPerNano)
            return try nano(quotient, plusOne: remainder >= Self.unitsPerNano / 2)
        }
    }

    /// For holds only: never below the exact value.
    var roundedUp: NanoUSD {
        get throws(MeteringError) {
            let (units, hasRest) = try product()
            let (quotient, remainder) = units.quotientAndRemainder(dividingBy: Self.unitsPerNano)
            return try nano(quotient, plusOne: remainder > 0 || hasRest)
        }
    }

    private func nano(_ value: Int128, plusOne: Bool) throws(MeteringError) -> NanoUSD {
        guard let nanos = Int64(exactly: value + (plusOne ? 1 : 0)) else { throw .overflow }
        return NanoUSD(nanos: nanos)
    }
}
