import Config
import HTTPTypes
import RouterCore
import Storage

// Errors that are about channels, providers and secrets of the console.
extension ManagementError {
    static func configInvalid(_ what: String, _ diagnostics: [Diagnostic]) -> ManagementError {
        let list = diagnostics.map { ($0.path.isEmpty ? "" : "'\($0.path)': ") + $0.message }
        return ManagementError(
            .badRequest, "the \(what) is not valid: \(list.joined(separator: "; "))", code: .configInvalid,
            details: ["diagnostics": .array(diagnostics.map(\.consoleJSON))])
    }

    /// The files cannot be read at the moment, so nothing can be checked against them.
    static func filesInvalid(_ errors: ConfigErrors) -> ManagementError {
        ManagementError(
            .conflict, "the configuration files have errors, which have to be mended first: \(errors.diagnostics.first?.description ?? "")",
            code: .configInvalid)
    }

    static func readOnly(_ what: String) -> ManagementError {
        ManagementError(.conflict, "\(what) is declared in a file and can be changed there only", code: .readOnly)
    }

    static func tooMany(_ what: String, _ maximum: Int) -> ManagementError {
        ManagementError(.conflict, "there are \(maximum) \(what) already, which is the most that the console keeps")
    }

    static func inUse(_ name: String, by channels: [String]) -> ManagementError {
        ManagementError(.conflict, "channels use the provider '\(name)': \(channels.joined(separator: ", "))")
    }

    static func stillAsked(_ channel: Int64, _ holds: Int64) -> ManagementError {
        ManagementError(
            .conflict,
            "channel \(channel) has \(holds) batches or background responses under way, which are settled by asking its vendor; disable it, "
                + "and delete it when they are over")
    }

    static func waiting(_ errors: ConfigErrors) -> ManagementError {
        let first = errors.diagnostics.first?.description ?? ""
        return ManagementError(
            .conflict, "stored, but not in force before the configuration files are mended: \(first)", code: .configInvalid)
    }

    static func vendor(_ message: String) -> ManagementError { ManagementError(.badGateway, message) }

    static func duplicate(_ message: String) -> ManagementError { ManagementError(.conflict, message, code: .duplicateID) }

    static func rootOnly(_ what: String) -> ManagementError { .roleTooLow("\(what) can be set by root only", needed: .root) }

    /// The message does not repeat the value, which is a secret.
    static func invalidSecret(_ field: String, _ expected: Expected) -> ManagementError {
        .invalid(field, expected)
    }
}
