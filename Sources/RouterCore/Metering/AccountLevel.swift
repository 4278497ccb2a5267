/// A level that accounts reach by what they have recharged (`levels:` of gateway.yaml): it gives them their group.
public struct AccountLevel: Sendable, Hashable {
    /// For people.
    public var name: String
    /// The sum that an account must have recharged in cash, gifts aside and chargebacks taken off.
    public var atLeast: NanoUSD
    /// A group of gateway.yaml.
    public var group: String

    public init(name: String, atLeast: NanoUSD, group: String) {
        self.name = name
        self.atLeast = atLeast
        self.group = group
    }
}

extension [AccountLevel] {
    /// The highest level that an amount reaches; nil = none.
    /// - Precondition: in the order of their amounts, as the configuration has them.
    public func reached(with recharged: NanoUSD) -> AccountLevel? { last { $0.atLeast <= recharged } }

    /// The next one, and what it takes; nil = the highest is reached, or there are none.
    public func next(after recharged: NanoUSD) -> AccountLevel? { first { $0.atLeast > recharged } }

    /// The level that an account goes to by itself. Never down: what somebody has once paid for stays.
    /// - Parameters:
    ///   - group: the account's present group.
    ///   - recharged: what it has recharged so far.
    /// - Returns: nil = it stays where it is.
    public func promotion(from group: String, recharged: NanoUSD) -> AccountLevel? {
        guard let reached = reached(with: recharged), reached.group != group else { return nil }
        // A group that no level gives (any more) is below all of them.
        guard let present = last(where: { $0.group == group }) else { return reached }
        return present.atLeast < reached.atLeast ? reached : nil
    }
}
