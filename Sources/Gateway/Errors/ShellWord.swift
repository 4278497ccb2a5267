/// A text as one word of a command line.
enum ShellWord {
    /// Unchanged where a shell leaves it alone, else in single quotes.
    static func quoted(_ text: String) -> String {
        let plain = Set("/._-:@+,=".utf8)
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || plain.contains(byte)
        }
        // A name that begins with a dash would be an option.
        if isPlain, !text.isEmpty { return text.hasPrefix("-") ? "-- " + text : text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
