import Foundation
import Testing

/// Keeps the house in order: what CONTRIBUTING.md asks for and a compiler does not check.
@Suite struct TidyTests {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    struct File: Sendable {
        var path: String
        var text: String
        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
    }

    static let swift: [File] = {
        var files: [File] = []
        for folder in ["Sources", "Tests"] {
            let base = root.appendingPathComponent(folder)
            guard let walker = FileManager.default.enumerator(atPath: base.path) else { continue }
            for case let name as String in walker where name.hasSuffix(".swift") {
                guard let text = try? String(contentsOf: base.appendingPathComponent(name), encoding: .utf8) else { continue }
                files.append(File(path: "\(folder)/\(name)", text: text))
            }
        }
        return files
    }()

    static var sources: [File] { swift.filter { $0.path.hasPrefix("Sources/") } }

    /// The arrows of docs/ARCHITECTURE.md: what a target may import, beside what every target may.
    static let arrows: [String: Set<String>] = [
        "RouterCore": ["NIOCore", "HTTPTypes", "Synchronization"],
        "Adaptors": ["RouterCore", "NIOCore", "HTTPTypes", "Crypto"],
        "Config": ["RouterCore", "Yams", "NIOCore", "Foundation"],
        "Storage": [
            "CPlatform", "RouterCore", "CLibpq", "GRDB", "GRDBSQLite", "NIOCore", "Foundation", "Dispatch", "Synchronization", "Glibc",
            "Musl",
        ],
        "Platform": ["CPlatform", "RouterCore", "Synchronization", "Glibc", "Musl"],
        "Metering": ["Platform", "RouterCore", "Storage", "Logging", "ServiceLifecycle", "Synchronization"],
        "GatewayState": [
            "Platform", "RouterCore", "Adaptors", "Config", "Storage", "NIOCore", "Crypto", "Logging", "Foundation", "Synchronization",
        ],
        "Gateway": [
            "Platform", "RouterCore", "Adaptors", "Config", "Metering", "GatewayState", "NIOCore", "NIOPosix", "NIOHTTP1", "HTTPTypes",
            "Logging", "Foundation", "Synchronization", "Glibc", "Musl",
        ],
        "Vendors": [
            "Platform", "RouterCore", "Config", "Storage", "Metering", "GatewayState", "Transport", "NIOCore", "HTTPTypes", "Logging",
            "ServiceLifecycle",
        ],
        "Transport": [
            "CPlatform", "RouterCore", "CLibcurl", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOTLS", "NIOSSL", "NIOHTTPCompression", "HTTPTypes",
            "Synchronization", "Glibc", "Musl",
        ],
        "Simulator": ["RouterCore", "NIOCore", "NIOPosix", "NIOHTTP1", "Synchronization", "Glibc", "Musl"],
        "Server": [
            "CPlatform", "CZlib", "Platform", "Metering", "GatewayState", "Gateway", "Vendors", "RouterCore", "Adaptors", "Config",
            "Storage",
            "Transport",
            "Simulator", "Hummingbird",
            "HummingbirdCore",
            "NIOCore", "NIOPosix", "NIOHTTP1", "NIOHTTPTypesHTTP1", "HTTPTypes", "Logging", "Crypto", "CryptoExtras", "CoreMetrics",
            "ServiceLifecycle", "UnixSignals",
            "Foundation", "Synchronization", "Glibc", "Musl",
        ],
        "apirouter": [
            "CPlatform", "Platform", "Server", "Vendors", "Config", "Storage", "RouterCore", "ArgumentParser", "Logging", "Foundation",
            "NIOCore",
            "NIOPosix",
            "Synchronization",
        ],
        "upstream-simulator": ["Simulator", "ArgumentParser", "Dispatch", "Foundation"],
    ]

    @Test func `targets import along the arrows only`() {
        var wrong: [String] = []
        for file in Self.sources {
            guard let allowed = Self.arrows[file.target] else {
                wrong.append("\(file.path): the target \(file.target) has no arrows")
                continue
            }
            for line in file.lines {
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index <= 1, index + 1 < words.count, !line.hasPrefix("//") else {
                    continue
                }
                let module = String(words[index + 1])
                if !allowed.contains(module) { wrong.append("\(file.path) imports \(module)") }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test func `files stay under 500 lines and lines are readable`() {
        let long = Self.swift.filter { $0.lines.count > 500 }.map { "\($0.path): \($0.lines.count) lines" }
        #expect(long.isEmpty, "\(long.joined(separator: "\n"))")
    }

    /// `swift format lint` looks at code (`make lint`), not at comments. Only text in quotes may be longer.
    @Test func `comments stay within 140 columns and are sentences`() {
        var wrong: [String] = []
        for file in Self.swift {
            for (number, line) in file.lines.enumerated() {
                let text = line.drop { $0 == " " }
                guard text.hasPrefix("//") else { continue }
                if line.count > 140 { wrong.append("\(file.path):\(number + 1): \(line.count) columns") }
                // The fragment's other half is the name of the declaration, which a reader of the documentation does not see beside it.
                if text.hasPrefix("/// Of ") || text.hasPrefix("// Of ") { wrong.append("\(file.path):\(number + 1): begins with 'Of'") }
            }
        }
        #expect(wrong.isEmpty, "\(wrong.joined(separator: "\n"))")
    }

    @Test func `functions stay under 70 lines`() {
        var long: [String] = []
        // Tests hold tables, which are long and read line by line.
        for file in Self.sources {
            var start: (line: Int, indent: Int)?
            for (number, line) in file.lines.enumerated() {
                let indent = line.prefix { $0 == " " }.count
                let text = line.dropFirst(indent)
                // A declaration without a body (a protocol's) ends where the next one begins.
                if let open = start, indent <= open.indent, text.contains("func ") { start = nil }
                if start == nil, text.contains("func "), !text.hasPrefix("//"), !text.hasPrefix("\"") { start = (number, indent) }
                if let open = start, text == "}", indent == open.indent {
                    if number - open.line > 70 { long.append("\(file.path):\(open.line + 1): \(number - open.line) lines") }
                    start = nil
                }
            }
        }
        #expect(long.isEmpty, "\(long.joined(separator: "\n"))")
    }

    @Test(arguments: ["Money", "Metering"]) func `money knows no floating point`(folder: String) {
        let banned = try! Regex("\\b(Double|Float|Decimal|CGFloat|pow)\\b")
        let hits = Self.sources.filter { $0.path.contains("RouterCore/\(folder)/") }.flatMap { file in
            file.lines.filter { !$0.contains("//") && $0.contains(banned) }.map { "\(file.path): \($0)" }
        }
        #expect(hits.isEmpty, "\(hits.joined(separator: "\n"))")
    }

    @Test func `RouterCore has no clock, no randomness and no Foundation`() {
        let banned = [
            "Date()", "ContinuousClock", "SuspendingClock", "SystemRandomNumberGenerator", ".random(in", "import Foundation", "Task {",
        ]
        expectNone(of: banned, in: Self.sources.filter { $0.target == "RouterCore" })
    }

    @Test func `nothing is fired and forgotten, printed or forced`() {
        let sources = Self.sources.filter { $0.target != "apirouter" }
        expectNone(of: ["Task {", "Task.detached", "print(", "try! ", "fatalError(\"unimplemented", "TODO", "FIXME"], in: sources)
    }

    @Test func `unsafe promises carry their reason`() {
        var missing: [String] = []
        for file in Self.sources {
            for (number, line) in file.lines.enumerated()
            where line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") || line.contains("try!") {
                let near = file.lines[max(0, number - 4)...number].joined()
                if !near.contains("SAFETY:") { missing.append("\(file.path):\(number + 1)") }
            }
        }
        #expect(missing.isEmpty, "\(missing.joined(separator: "\n"))")
    }

    @Test func `no vendor of an existing family is named in the sources`() {
        // `openai` and `openrouter` are families; a vendor that only speaks one of them is a YAML file.
        let vendors = ["deepseek", "mistral", "groq", "together", "fireworks", "moonshot", "ollama"]
        let hits = Self.sources.filter { file in vendors.contains { file.text.lowercased().contains("\"\($0)") } }.map(\.path)
        #expect(hits.isEmpty, "\(hits)")
    }

    @Test func `SQL with values in its text is not written`() {
        let hits = Self.sources.filter { $0.target == "Server" || $0.target == "apirouter" }.flatMap { file in
            file.lines.filter { $0.contains("SELECT ") || $0.contains("INSERT INTO") }.map { "\(file.path): \($0)" }
        }
        #expect(hits.isEmpty, "SQL belongs to Storage:\n\(hits.joined(separator: "\n"))")
    }

    @Test func `the README shows the two commands`() throws {
        for name in ["README.md", "README.zh-CN.md"] {
            let text = try String(contentsOf: Self.root.appendingPathComponent(name), encoding: .utf8)
            #expect(text.contains("make run") && text.contains("make test"), "\(name)")
        }
    }

    /// Whether the text occurs and is not the end of a longer word (`addTask {` is no `Task {`).
    private static func hasWord(_ banned: String, _ code: Substring) -> Bool {
        guard let range = code.range(of: banned) else { return false }
        guard range.lowerBound > code.startIndex else { return true }
        return !code[code.index(before: range.lowerBound)].isLetter
    }

    private func expectNone(of banned: [String], in files: [File]) {
        let hits = files.flatMap { file in
            let lines = file.lines
            return lines.enumerated().filter { number, line in
                let code = line.drop { $0 == " " }
                // A task apart is allowed only with a word on who ends it.
                if code.contains("Task {"), number > 0, lines[number - 1].contains("// OWNER: ") { return false }
                return !code.hasPrefix("//") && banned.contains { Self.hasWord($0, code) }
            }.map { "\(file.path):\($0.offset + 1): \($0.element)" }
        }
        #expect(hits.isEmpty, "\(hits.joined(separator: "\n"))")
    }
}
