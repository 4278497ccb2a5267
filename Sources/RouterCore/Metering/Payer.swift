/// Money belongs to accounts. A user's own account has the user's id; an organisation has an id of the same space, so that one id names one
/// wallet in balances, leases, holds and the ledger.
public protocol Paid {
    /// The user who caused it.
    var userID: Int64 { get }
    /// The organisation whose wallet pays; nil = the user's own.
    var accountID: Int64? { get }
}

extension Paid {
    /// The account that pays.
    public var payer: Int64 { accountID ?? userID }
}

extension RequestRecord: Paid {}
extension HoldRecord: Paid {}
extension LongHold: Paid {}
