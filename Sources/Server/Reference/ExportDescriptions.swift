import RouterCore

/// Tables as CSV.
enum ExportDescriptions {
    private static let notes = """
        Newest first, with a line of names. `X-Row-Count` is the number of rows or a little more, for a progress bar. Texts that a \
        spreadsheet would take for a formula (those that begin with `=`, `+`, `-`, `@`, a tab or a carriage return) have an apostrophe in \
        front; numbers stay as they are.
        """
    private static let tooMany = (status: 429, when: "two exports of the user are under way; `Retry-After`")
    private static let answer = RouteDescription.Answer.raw(["text/csv"], "The rows, as they are read.")

    static let logs = RouteDescription(
        id: "exportLog", chapter: .logs, summary: "The log of all users as CSV.",
        notes: notes + " The last three columns are what a call costs us and what is left of its charge.",
        query: OperationDescriptions.logFilters + [OperationDescriptions.userID, OperationDescriptions.provider],
        answer: answer, errors: [tooMany], example: .init(path: "/api/log/export?model=demo/echo"))

    static let ownLogs = RouteDescription(
        id: "exportOwnLog", chapter: .logs, summary: "The caller's log as CSV.", notes: notes,
        query: OperationDescriptions.logFilters + OperationDescriptions.ofOrganization, answer: answer, errors: [tooMany])

    static let transactions = RouteDescription(
        id: "exportTransactions", chapter: .money, summary: "The caller's rows of the ledger as CSV.", notes: notes,
        query: MoneyDescriptions.entryFilters, answer: answer, errors: [(403, "`user_id` is for admins"), tooMany])
}
