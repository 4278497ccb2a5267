import NIOCore
import RouterCore

/// The limits of a key or a user, as their JSON object says: `{"allowed_ips": ["10.0.0.0/8"], "budget": {"total": 100, "month": 20, "day": 2.5}}`.
struct KeyLimits: Sendable {
    var addresses: [AddressRange] = []
    var budgets: [BudgetWindow: NanoUSD] = [:]

    /// Each request with the key is compared with all of them.
    private static let maximumAddresses = 100

    /// Of text that was validated when it was stored; what cannot be read limits nothing.
    init(stored text: String) {
        guard text != "{}", let value = try? JSONValue(parsing: ByteBuffer(string: text)) else { return }
        addresses = value["allowed_ips"]?.arrayValue?.compactMap { $0.stringValue.flatMap(AddressRange.init) } ?? []
        for window in BudgetWindow.allCases {
            guard let text = value["budget"]?[window.rawValue]?.numberText else { continue }
            budgets[window] = try? NanoUSD(usd: text)
        }
    }

    func limits(_ scope: BudgetScope) -> [BudgetLimit] {
        BudgetWindow.allCases.compactMap { window in
            budgets[window].map { BudgetLimit(scope: scope, window: window, amount: $0) }
        }
    }

    /// Checks what a client sent. - Parameter allowsAddresses: users have budgets only.
    /// - Throws: ``ManagementError`` that says what is allowed.
    static func validate(_ value: JSONValue, allowsAddresses: Bool) throws -> String {
        guard case .object(let members) = value else { throw ManagementError.badRequest("'limits' must be an object") }
        let allowed = allowsAddresses ? "allowed_ips, budget" : "budget"
        for member in members {
            switch member.name {
            case "budget": try validateBudget(member.value)
            case "allowed_ips" where allowsAddresses:
                guard let list = member.value.arrayValue, list.count <= maximumAddresses, list.allSatisfy({ $0.stringValue.flatMap(AddressRange.init) != nil }) else {
                    throw ManagementError.badRequest("'limits.allowed_ips' must be an array of at most \(maximumAddresses) addresses or blocks such as 10.0.0.0/8")
                }
            default: throw ManagementError.badRequest("unknown limit '\(member.name)'; allowed: \(allowed)")
            }
        }
        return value.text
    }

    private static func validateBudget(_ value: JSONValue) throws {
        guard case .object(let members) = value else {
            throw ManagementError.badRequest("'limits.budget' must be an object such as {\"total\": 100, \"month\": 20, \"day\": 2.5}")
        }
        for member in members {
            guard BudgetWindow(rawValue: member.name) != nil else {
                throw ManagementError.badRequest("unknown budget '\(member.name)'; allowed: total, month, day")
            }
            guard let text = member.value.numberText, let amount = try? NanoUSD(usd: text), !amount.isNegative else {
                throw ManagementError.badRequest("'limits.budget.\(member.name)' must be USD as a number from 0, with at most nine decimals")
            }
        }
    }
}
