import Foundation
import Testing

/// The files of the console: both languages say the same things, no markup is made from text, and the whole stays small.
@Suite struct ConsoleTidyTests {
    private static let web = TidyTests.root.appendingPathComponent("web")

    private static func files(_ kind: String) throws -> [(name: String, text: String)] {
        let all = try #require(FileManager.default.enumerator(atPath: web.path)).compactMap { $0 as? String }
        return try all.filter { $0.hasSuffix(".\(kind)") }.sorted().map {
            ($0, try String(contentsOf: web.appendingPathComponent($0), encoding: .utf8))
        }
    }

    private static func keys(_ text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: /\s+'([^']+)':.*/).map { String($0.1) }
        }
    }

    @Test(arguments: ["", "-admin", "-forms"]) func `both languages have the same texts, each once`(area: String) throws {
        let texts = try ["en", "zh-CN"].map {
            try String(contentsOf: Self.web.appendingPathComponent("lang/\($0)\(area).js"), encoding: .utf8)
        }
        let keys = texts.map(Self.keys)
        #expect(Set(keys[0]).symmetricDifference(keys[1]).sorted() == [])
        for list in keys { #expect(Dictionary(grouping: list) { $0 }.filter { $0.value.count > 1 }.keys.sorted() == []) }
    }

    @Test func `texts name the same values in both languages`() throws {
        func values(_ language: String, _ area: String) throws -> [String: Set<String>] {
            let text = try String(contentsOf: Self.web.appendingPathComponent("lang/\(language)\(area).js"), encoding: .utf8)
            return Dictionary(
                text.split(separator: "\n").compactMap { line in
                    line.wholeMatch(of: /\s+'([^']+)':(.*)/).map { match in
                        (String(match.1), Set(match.2.matches(of: /\{(\w+)\}/).map { String($0.1) }))
                    }
                }
            ) { first, _ in first }
        }
        for area in ["", "-admin", "-forms"] {
            let (english, chinese) = (try values("en", area), try values("zh-CN", area))
            let differing = english.filter { key, names in chinese[key].map { $0 != names } ?? false }
            #expect(differing.keys.sorted() == [])
        }
    }

    @Test func `every text that is asked for exists`() throws {
        let known = Set(
            try ["en.js", "en-admin.js", "en-forms.js"].flatMap {
                Self.keys(try String(contentsOf: Self.web.appendingPathComponent("lang/\($0)"), encoding: .utf8))
            })
        for file in try Self.files("js") where !file.name.hasPrefix("lang/") {
            let asked = file.text.matches(of: /\bt\('([^']+)'/).map { String($0.1) }
            let missing = asked.filter { !known.contains($0) }
            #expect(missing == [], "\(file.name)")
        }
    }

    /// Sentences belong into the dictionaries. Comments, and names that every language shares, do not count.
    @Test func `no text for people stands outside the dictionaries`() throws {
        for file in try Self.files("js") where !file.name.hasPrefix("lang/") {
            for (number, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let trimmed = line.drop { $0 == " " }
                guard !trimmed.hasPrefix("//"), !trimmed.hasPrefix("*"), !trimmed.hasPrefix("/*"), !line.contains("console.error") else {
                    continue
                }
                #expect(line.firstMatch(of: /['`][A-Z][a-z]+ [a-z]+ [a-z]+/) == nil, "\(file.name):\(number + 1)")
                #expect(
                    line.unicodeScalars.allSatisfy { !(0x4E00...0x9FFF).contains($0.value) } || line.contains("'中文'"),
                    "\(file.name):\(number + 1)")
            }
        }
    }

    @Test func `no markup is made from text`() throws {
        let forbidden = [
            "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "setAttribute('style'", "srcdoc",
        ]
        for file in try Self.files("js") {
            for word in forbidden { #expect(!file.text.contains(word), "\(file.name): \(word)") }
        }
        let shell = try String(contentsOf: Self.web.appendingPathComponent("index.html"), encoding: .utf8)
        #expect(!shell.contains("<style") && !shell.contains(" style=") && !shell.contains("onclick"))
        #expect(shell.matches(of: /<script(?![^>]*\ssrc=)/).isEmpty)
    }

    @Test func `the folder and its files stay small`() throws {
        let all = try #require(FileManager.default.enumerator(atPath: Self.web.path)).compactMap { $0 as? String }
        let sizes = try all.map { try FileManager.default.attributesOfItem(atPath: Self.web.appendingPathComponent($0).path) }
            .filter { $0[.type] as? FileAttributeType == .typeRegular }.compactMap { ($0[.size] as? NSNumber)?.intValue }
        // No browser loads all of it: console_pages.py holds each page to 60 KB of compressed files.
        #expect(sizes.reduce(0, +) <= 475_000)
        for file in try Self.files("js") + Self.files("css") {
            let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false)
            if file.name.hasSuffix(".js"), !file.name.hasPrefix("lang/") {
                #expect(lines.count <= 500, "\(file.name): \(lines.count) lines")
            }
            for (number, line) in lines.enumerated() where !file.name.hasPrefix("lang/") {
                #expect(line.count <= 180, "\(file.name):\(number + 1) has \(line.count) columns")
            }
        }
    }
}
