/// What became of a token or key from the environment at a start.
public enum BootstrapOutcome: Sendable, Hashable {
    /// It is as the last start left it, or there is none.
    case unchanged
    /// It has been ended since (by a change of the password, or by hand) and stays so until the variable has another
    /// value.
    case ended
    /// It is new; that of an earlier start has ended.
    case replaced
    /// The variable is gone, and with it what it had made.
    case removed
}

/// How the API key from the environment is known again at the next start.
public enum BootstrapKey {
    /// The name that its row of `tokens` gets.
    public static let name = "initial"
    /// The setting with the hash of the key that was seen last; empty = the variable was gone.
    static let setting = "bootstrap.key"
}
