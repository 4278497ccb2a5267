import ArgumentParser
import Config
import Foundation
import RouterCore
import Server
import Storage
import Vendors

struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "The books.",
        subcommands: [
            Verify.self, LedgerExport.self, LedgerReconcile.self, LedgerMargin.self, LedgerReplayCommand.self, LedgerRebuildCommand.self,
        ])

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Recompute every balance from the rows; exit code 1 on any difference.")

        @OptionGroup var common: ConfigOption

        func run() async throws {
            let report = try await common.withStore { store, _ in try await store.verify() }
            for difference in report.differences { print(difference) }
            print("\(report.users) users, \(report.entries) entries, \(report.differences.count) differences")
            if !report.differences.isEmpty { throw ExitCode.failure }
        }
    }
}

/// Days of UTC, from the first to the last, both included.
struct DayRange: ParsableArguments {
    @Option(help: "First day, 2026-11-01 (UTC). Default: the beginning.")
    var from: String?

    @Option(help: "Last day, 2026-11-30 (UTC), included. Default: today.")
    var to: String?

    /// Unix seconds.
    func seconds() throws -> Range<Int64> {
        let start = try from.map { try Self.day($0, "--from").startOfDay } ?? 0
        let end = try to.map { try Self.day($0, "--to").startOfDay + 86_400 } ?? .max
        guard start < end else { throw ValidationError("--from is behind --to") }
        return start..<end
    }

    private static func day(_ text: String, _ option: String) throws -> CalendarDate {
        guard let date = CalendarDate(text) else { throw ValidationError("\(option) must be a day such as 2026-11-25, found '\(text)'") }
        return date
    }
}

struct LedgerMargin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "margin", abstract: "Charges, what they cost us, and what is left, as CSV.")

    enum Dimension: String, ExpressibleByArgument, CaseIterable {
        case pair = "model,channel"
        case model, channel, provider, day
    }

    @OptionGroup var common: ConfigOption
    @OptionGroup var days: DayRange
    @Option(help: "What is told apart: model,channel; model; channel; provider; or day (UTC).")
    var by = Dimension.pair

    private static let columns = "requests,charged,upstream_cost,vendor_cost,margin,requests_without_cost,charged_without_cost"

    func run() async throws {
        let range = try days.seconds()
        guard by == .pair else { return try await printSums(range) }
        let rows = try await common.withStore { store, _ in try await store.margins(in: range) }
        print("model,channel,\(Self.columns)")
        for row in rows {
            print(
                [
                    CSV.field(row.model), row.channelID.map(String.init) ?? "", "\(row.requests)", row.charged.usdText,
                    row.upstreamCost.usdText, row.cost.usdText, row.margin.usdText, "\(row.unknownCost)", row.unknownCharge.usdText,
                ].joined(separator: ","))
        }
    }

    private func printSums(_ range: Range<Int64>) async throws {
        let rows = try await common.withStore { store, _ in
            let to = min(range.upperBound, Int64(Date().timeIntervalSince1970) + 900)
            // Without a first day, days are those that one question can have.
            let first = by == .day && days.from == nil ? to - (MarginQuery.mostDays - 1) * 86_400 : 0
            guard let dimension = MarginQuery.Dimension(rawValue: by.rawValue),
                let query = try? MarginQuery(by: dimension, from: max(range.lowerBound, first), to: to)
            else { throw ValidationError("--from and --to must be at most \(MarginQuery.mostDays) days apart, and not in the future") }
            return try await query.rows(store)
        }
        print("\(by.rawValue),\(Self.columns)")
        for row in rows {
            let sums = row.sums
            print(
                [
                    CSV.field(row.key), "\(sums.requests - sums.void)", sums.charge.usdText, sums.upstreamCost.usdText,
                    sums.cost.usdText, sums.margin.usdText, "\(sums.uncosted)", sums.uncostedCharge.usdText,
                ].joined(separator: ","))
        }
    }
}

struct LedgerReconcile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconcile", abstract: "Compare our upstream cost by day with the vendor's own figures; exit code 1 on a difference.",
        discussion:
            "The key of the provider's first channel must be one that the vendor lets read its activity (OpenRouter: a management key).")

    @OptionGroup var common: ConfigOption
    @OptionGroup var days: DayRange
    @Option(help: "Name of the provider.") var provider: String
    @Option(help: "Environment variable with the key to ask with, when it is not the channel's own.") var keyEnv: String?

    func run() async throws {
        let range = try days.seconds()
        let key = try keyEnv.map { name in
            guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { throw ValidationError("\(name) is not set") }
            return Secret(value)
        }
        let (ours, theirs) = try await common.withStore { store, configuration in
            let theirs: [DailyCost]
            do {
                theirs = try await VendorActivity(configuration: configuration).days(provider: provider, key: key)
            } catch let problem as VendorActivity.Problem {
                throw ValidationError(problem.message)
            }
            return (try await store.upstreamCosts(provider: provider, in: range), theirs)
        }
        var differs = false
        print("day,ours,vendor,difference")
        for day in Set(ours.map(\.day) + theirs.map(\.day)).sorted() {
            guard let date = CalendarDate(day), range.contains(date.startOfDay) else { continue }
            let our = ours.first { $0.day == day }?.upstreamCost ?? .zero
            let their = theirs.first { $0.day == day }?.upstreamCost ?? .zero
            let difference = try our.subtracting(their)
            // The vendor tells hundredths of micro-dollars; less than a micro-dollar a day is rounding.
            if abs(difference.nanos) >= 1_000 { differs = true }
            print("\(day),\(our.usdText),\(their.usdText),\(difference.usdText)")
        }
        if differs { throw ExitCode.failure }
    }
}

extension ConfigOption {
    /// Opens the ledger of the configuration for a command.
    /// - Parameter locksOut: no gateway may be using the ledger meanwhile (SQLite).
    func withStore<Value>(locksOut: Bool = false, _ body: (any Store, GatewayConfiguration) async throws -> Value) async throws -> Value {
        let environment = ProcessInfo.processInfo.environment
        let configuration = try load(environment)
        if case .sqlite(let path) = configuration.storage, !FileManager.default.fileExists(atPath: path) {
            throw ValidationError("there is no database at \(path)")
        }
        let store: any Store
        do {
            store = try await StoreOpening.open(
                configuration.storage, durability: configuration.journal.durability, environment: environment,
                now: Int64(Date().timeIntervalSince1970), locksOut: locksOut)
        } catch StoreError.database(let text) {
            throw ValidationError("the ledger cannot be opened: \(text)" + (locksOut ? ". The gateway must be stopped for this" : ""))
        } catch let error as StoreError {
            throw ValidationError("the ledger cannot be opened: \(error)")
        }
        do {
            let value = try await body(store, configuration)
            try await store.close()
            return value
        } catch {
            try? await store.close()
            throw error
        }
    }

    /// The same with the configuration as the gateway has it: with what the console has stored.
    func withConsole<Value>(_ body: (any Store, GatewayConfiguration) async throws -> Value) async throws -> Value {
        try await withStore { store, files in
            let (console, problem) = try await ConsoleAccess.load(files, store: store)
            if let problem { FileHandle.standardError.write(Data("\(problem)\n".utf8)) }
            return try await body(store, try load(ProcessInfo.processInfo.environment, console: console, unseen: .named([])))
        }
    }
}
