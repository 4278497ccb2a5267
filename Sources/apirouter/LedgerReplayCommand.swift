import ArgumentParser
import Config
import RouterCore
import Server
import Storage

struct LedgerReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Post what a ledger that was restored from a backup lacks, out of a gateway's journal files.",
        discussion: """
            FOLDER is the gateway's data directory, or a copy of its journal-*.kept and journal-*.log files. The gateway must be stopped. Each request \
            is posted once, however often this runs. Exit code 1 when something is left for people to do: requests that were set aside, credits that \
            the ledger lacks, requests without an end, files that could not be read. See docs/operations.md.
            """)

    @OptionGroup var common: ConfigOption
    @Option(help: ArgumentHelp("The folder with the journal's files.", valueName: "folder")) var from: String

    func run() async throws {
        let report: LedgerReplay.Report
        do {
            report = try await common.withStore(locksOut: true) { store, _ in try await LedgerReplay.run(folder: from, into: store) }
        } catch StoreError.database(let text) {
            throw ValidationError(text)
        } catch StoreError.schema(let text) {
            throw ValidationError(text)
        }
        print("\(report.files) files, \(report.read) settled requests in them")
        print(
            "posted \(report.posted) (\(report.charged.usdText) USD), there already \(report.alreadyThere), set aside \(report.setAside.count)"
        )
        show(report)
        if report.leavesWork { throw ExitCode.failure }
    }

    private func show(_ report: LedgerReplay.Report) {
        for (id, reason) in report.setAside { print("set aside: \(id): \(reason)") }
        if report.withoutVersion > 0 {
            print(
                "up to \(report.withoutVersion) of them were charged by prices that this ledger has no version of; their rows say version 0"
            )
        }
        if report.running > 0 {
            print(
                "\(report.running) requests were running at the end; the gateway settles them when it starts with this folder as data_dir")
        }
        for note in report.notes { print(note) }
        guard !report.missingCredits.isEmpty else { return }
        print("\(report.missingCredits.count) credits are not in this ledger. Book those that were paid again, under the same reference:")
        print("type,user_id,amount,reference_id,description,created_at")
        for credit in report.missingCredits {
            print(
                [
                    credit.kind.rawValue, "\(credit.userID)", credit.amount.usdText, CSV.field(credit.referenceID),
                    CSV.field(credit.description), "\(credit.createdAt)",
                ].joined(separator: ","))
        }
    }
}
