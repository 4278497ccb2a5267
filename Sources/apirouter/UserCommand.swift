import ArgumentParser
import Config
import Foundation
import RouterCore
import Server
import Storage

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "Accounts of the management API.", subcommands: [ResetPassword.self])

    struct ResetPassword: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-password", abstract: "Give a user a new password, for whoever has been locked out.",
            discussion: """
                Works on the ledger of the configuration, whether a gateway is running or not. The new password is asked for at the terminal, \
                twice and without showing it; where standard input is none, its first line is the password. The user's sessions and management \
                tokens end, that of INITIAL_ROOT_ACCESS_TOKEN included (it stays ended until the variable has another value); sk- keys stay.
                """)

        @OptionGroup var common: ConfigOption
        @Argument(help: "Name of the user.") var name: String
        @Flag(help: "Make a random password and print it.") var generate = false

        func run() async throws {
            let password = generate ? PasswordReset.newPassword() : try Self.ask(for: name)
            let outcome: PasswordReset.Outcome
            do {
                outcome = try await common.withStore { store, _ in
                    try await PasswordReset.run(
                        store, username: name, password: password, now: Int64(Date().timeIntervalSince1970))
                }
            } catch let problem as PasswordReset.Problem {
                throw ValidationError(problem.message)
            } catch StoreError.database(let detail) {
                throw ValidationError("nothing was changed, because the database failed or is busy: \(detail)")
            }
            print("the password of '\(outcome.username)' is changed; sessions and management tokens have ended")
            if generate { print("new password: \(password.reveal())") }
            if outcome.isDisabled {
                print("'\(outcome.username)' is disabled and cannot log in before an admin enables the account")
            }
        }

        private static func ask(for name: String) throws -> Secret {
            guard isatty(STDIN_FILENO) == 1 else {
                guard let line = readLine(strippingNewline: true) else {
                    throw ValidationError("standard input has no password; give one, or use --generate")
                }
                return Secret(line)
            }
            let first = try HiddenInput.line("New password of '\(name)': ")
            guard try HiddenInput.line("Once more: ") == first else {
                throw ValidationError("the two passwords differ; nothing was changed")
            }
            return Secret(first)
        }
    }
}

/// A line from the terminal that is not shown.
enum HiddenInput {
    /// - Throws: ``ExitCode`` when the user gives up with ^C or ^D, ``ValidationError`` when the terminal cannot be
    ///   silenced.
    static func line(_ prompt: String) throws -> String {
        var old = termios()
        guard tcgetattr(STDIN_FILENO, &old) == 0 else {
            throw ValidationError("the terminal cannot be asked for its settings")
        }
        var silent = old
        // No signals either: the terminal would stay silent after a ^C.
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        guard tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0 else {
            throw ValidationError("the terminal cannot be silenced")
        }
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &old)
            FileHandle.standardError.write(Data("\n".utf8))
        }
        FileHandle.standardError.write(Data(prompt.utf8))
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while read(STDIN_FILENO, &byte, 1) == 1 {
            switch byte {
            case 0x0A, 0x0D: return String(decoding: bytes, as: UTF8.self)
            case 0x03, 0x04: throw ExitCode.failure
            case 0x08, 0x7F:
                // The whole character, which may have several bytes.
                while let last = bytes.popLast(), last & 0xC0 == 0x80 {}
            case 0x15: bytes.removeAll()
            default: if bytes.count < 4_096 { bytes.append(byte) }
            }
        }
        throw ValidationError("the terminal was closed; nothing was changed")
    }
}
