package import RouterCore

/// Why an API key is not accepted. All of them are a 401 `invalid_api_key` whose words differ, but for the last.
package enum KeyRefusal: Error, Sendable {
    case missing, unknown, disabled, expired, userDisabled, organizationDisabled
    /// The key's user belongs to its organisation no more, or may not spend its money.
    case notAMember
    /// The stored limits of the key or of its user cannot be read: a 403.
    case limitsUnreadable(BudgetScope, LimitProblem)

    package var message: String {
        switch self {
        case .missing: "You must provide an API key: send it as 'Authorization: Bearer sk-…'."
        case .unknown: "The API key is not valid."
        case .disabled: "The API key is disabled."
        case .expired: "The API key has expired."
        case .userDisabled: "The user of this API key is disabled."
        case .organizationDisabled: "The organization of this API key is disabled."
        case .notAMember: "The user of this API key may not call models for its organization."
        case .limitsUnreadable(let scope, let problem): "The limits of \(scope) cannot be read: \(problem.message)."
        }
    }
}
