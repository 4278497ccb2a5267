import ArgumentParser
import Foundation
import RouterCore
import Server
import Storage

struct LedgerExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write the rows of balance_transactions to standard output.")

    enum Format: String, ExpressibleByArgument, CaseIterable { case csv, jsonl }

    @OptionGroup var common: ConfigOption
    @OptionGroup var days: DayRange
    @Option(help: "csv or jsonl.") var format = Format.csv

    private static let group = 5_000

    func run() async throws {
        let range = try days.seconds()
        let written = try await common.withStore { store, _ in
            let output = FileHandle.standardOutput
            // A little more than there are, which is enough for a bar.
            let most = try await store.mostEntries(EntryQuery(from: range.lowerBound, to: range.upperBound - 1))
            var written: Int64 = 0
            var last: Int64 = 0
            if format == .csv {
                try output.write(
                    contentsOf: Data("id,user_id,type,amount,balance_after,reference_id,description,created_at,source,gift\r\n".utf8))
            }
            while true {
                let rows = try await store.entries(in: range, after: last, limit: Self.group)
                guard let end = rows.last else { return written }
                try output.write(contentsOf: Data(rows.map(line).joined().utf8))
                last = end.id
                written += Int64(rows.count)
                Progress.show(ProgressBar.text(done: written, of: most) + ", at \(CalendarDate(unixSeconds: end.createdAt))")
            }
        }
        Progress.end("\(written) rows")
    }

    private func line(_ entry: LedgerEntry) -> String {
        switch format {
        case .jsonl:
            return JSONValue.object([
                .init("id", .integer(entry.id)), .init("user_id", .integer(entry.userID)), .init("type", .string(entry.kind.rawValue)),
                .init("amount", .usd(entry.amount)), .init("balance_after", .usd(entry.balanceAfter)),
                .init("reference_id", .string(entry.referenceID)), .init("description", .string(entry.description)),
                .init("created_at", .integer(entry.createdAt)), .init("source", .optional(entry.source)),
                .init("gift", .usd(entry.gift ?? .zero)),
            ]).text + "\n"
        case .csv:
            return CSV.line([
                .number(entry.id), .number(entry.userID), .text(entry.kind.rawValue), .digits(entry.amount.usdText),
                .digits(entry.balanceAfter.usdText), .text(entry.referenceID), .text(entry.description), .number(entry.createdAt),
                .text(entry.source), .digits(entry.gift?.usdText),
            ])
        }
    }
}

/// A line on standard error that is written over, where that is a terminal.
enum Progress {
    private static let isTerminal = isatty(STDERR_FILENO) == 1

    static func show(_ text: String) {
        if isTerminal { FileHandle.standardError.write(Data("\r\(text)\u{1B}[K".utf8)) }
    }

    static func end(_ text: String) {
        FileHandle.standardError.write(Data((isTerminal ? "\r\(text)\u{1B}[K\n" : text + "\n").utf8))
    }
}

/// How far something has come, as a bar of characters.
enum ProgressBar {
    private static let width: Int64 = 30

    /// - Parameter all: no less than what will be done; 0 = not known.
    static func text(done: Int64, of all: Int64) -> String {
        guard all > 0 else { return "\(done) rows" }
        let part = min(done, all)
        let full = Int(part * width / all)
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: Int(width) - full)
        return "[\(bar)] \(part * 100 / all)%, \(done) rows"
    }
}
