extension SQLFailure {
    /// - Parameters:
    ///   - state: the SQLSTATE, five characters; empty when the connection itself failed.
    ///   - isConnectionLost: the connection is of no use any more, whatever the statement's failure.
    init(postgres state: String, constraint: String = "", message: String, isConnectionLost: Bool = false) {
        self.init(kind: isConnectionLost ? .connectionLost : Self.kind(state), constraint: constraint, message: message)
    }

    /// https://www.postgresql.org/docs/current/errcodes-appendix.html
    private static func kind(_ state: String) -> Kind {
        switch state {
        case "23505": .unique
        case "23503", "23001": .foreignKey
        case "23502": .notNull
        // raise_exception: our triggers.
        case "P0001": .trigger
        // string_data_right_truncation
        case "22001": .tooBig
        case "40001", "40P01": .serialization
        case "55P03": .busy
        case "57014": .interrupted
        default:
            switch state.prefix(2) {
            case "22": .value
            case "23": .check
            // program_limit_exceeded, as by a value too long for an index
            case "54": .tooBig
            default: .other
            }
        }
    }

    static func lost(_ message: String) -> SQLFailure { SQLFailure(kind: .connectionLost, message: message) }
}
