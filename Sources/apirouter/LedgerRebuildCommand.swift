import ArgumentParser
import RouterCore
import Storage

struct LedgerRebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-usage", abstract: "Make the sums of the log (statistics, rankings, margins) anew from its rows.",
        discussion: """
            For sums that `ledger verify` finds to differ from the log. A day is one transaction; an interrupted run is repeated from the \
            beginning. Days whose rows of the log have been let go (logs.keep) keep their sums. On SQLite the gateway must be stopped; on \
            PostgreSQL gateways may run, and their postings wait while a day is made.
            """)

    @OptionGroup var common: ConfigOption

    func run() async throws {
        let report = try await common.withStore(locksOut: true) { store, _ in
            try await UsageRebuild.run(store) { day, report in
                Progress.show("\(CalendarDate(unixSeconds: day)): \(report.rows) rows")
            }
        }
        Progress.end("\(report.days) days made anew from \(report.rows) rows of the log")
        if report.kept > 0 { print("\(report.kept) days kept their sums: rows of them have been let go") }
    }
}
