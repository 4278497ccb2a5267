import HTTPTypes

/// Calls that could give an account away (roles, passwords, secrets) want the password again from whoever rests on a session cookie: a
/// browser that was left open is not enough. A fresh login proves it; programs with a management token are not asked.
enum FreshLogin {
    /// How old the session may be.
    static let seconds: Int64 = 300
}

extension GatewayContext {
    /// - Throws: ``ManagementError`` 403 `password_again`.
    func demandFreshLogin() throws {
        guard let sessionAge, sessionAge > FreshLogin.seconds else { return }
        throw ManagementError(.forbidden, "this call needs your password again: log in, then repeat it", code: .passwordAgain)
    }
}
