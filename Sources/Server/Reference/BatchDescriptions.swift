import RouterCore

/// Files and batches.
enum BatchDescriptions {
    private static let openAI = "https://platform.openai.com/docs/api-reference/"
    private static let json = RouteDescription.Answer.raw(["application/json"], "As the vendor's description has it.")
    private static let fileID = APIField("id", .string, "Of one's own file.")
    private static let batchID = APIField("id", .string, "Of one's own batch.")
    private static let gone: [(status: Int, when: String)] = [
        (404, "there is no such object of this account"), (502, "the vendor failed, or refused the gateway's key"),
        (503, "the channel that holds it is no longer configured"), (504, "the vendor did not answer in time"),
    ]
    private static let after = APIField("after", .string, "The id of the last item of the page before.").optional
    private static let notes = "See [batches.md](batches.md)."

    static let upload = RouteDescription(
        id: "uploadFile", chapter: .batches, summary: "Uploads the input file of a batch.",
        notes: """
            Each line is a request with `custom_id`, `method`, `url` and `body`; all lines have one `url` and one model. The file is read, \
            and goes to the channel that will do the work. See [batches.md](batches.md).
            """,
        reference: openAI + "files/create",
        body: .vendor(
            [APIField("file", .file, "JSON lines."), APIField("purpose", .choice(["batch"]), "Other files are not kept here.")],
            mediaType: "multipart/form-data"), answer: json,
        errors: [
            (403, "the key may not use the model"), (404, "no such model"), (429, "the vendor's rate limit"),
            (502, "the vendor failed, or refused the gateway's key"), (504, "the vendor did not answer in time"),
        ])

    static let listFiles = RouteDescription(
        id: "listFiles", chapter: .batches, summary: "One's own files, newest first, as the gateway has seen them last.", notes: notes,
        reference: openAI + "files/list",
        query: [
            APIField("purpose", .choice(["batch", "batch_output"]), "Only these.").optional,
            APIField("limit", .integer(1...10_000), "10000 by default.").optional,
            APIField("order", .choice(["asc", "desc"]), "By age; desc by default.").optional, after,
        ], answer: json, errors: [(400, "a parameter is wrong")])

    static let file = RouteDescription(
        id: "getFile", chapter: .batches, summary: "One of one's own files.", reference: openAI + "files/retrieve", path: [fileID],
        answer: json, errors: gone, example: .init(path: "/v1/files/file-example"))

    static let content = RouteDescription(
        id: "getFileContent", chapter: .batches, summary: "The lines of a file, with the public name of the model.",
        notes: "`usage.cost` of an answer is what its line costs, USD. See [batches.md](batches.md).",
        reference: openAI + "files/retrieve-contents", path: [fileID],
        answer: .raw(["application/octet-stream"], "JSON lines, as they come from the vendor."), errors: gone,
        example: .init(path: "/v1/files/file-example/content"))

    static let deleteFile = RouteDescription(
        id: "deleteFile", chapter: .batches, summary: "Deletes a file, here and at the vendor.", reference: openAI + "files/delete",
        path: [fileID], answer: json, errors: gone + [(409, "the batch that made it has not been settled yet")],
        example: .init(path: "/v1/files/file-example"))

    static let create = RouteDescription(
        id: "createBatch", chapter: .batches, summary: "Starts a batch; its worst case leaves the balance until it is settled.",
        notes: notes, reference: openAI + "batch/create",
        body: .vendor([
            APIField("input_file_id", .text(128), "A file of `POST /v1/files`."),
            APIField("endpoint", .choice(BatchSupport.clientURLs.values.sorted()), "That of the file's lines."),
            APIField("completion_window", .choice(["24h"]), "Within a day."),
            APIField("metadata", .any, "Up to fifteen texts.").optional,
        ]), answer: json,
        errors: [
            (402, "the balance or a total budget does not cover what the batch may cost"), (403, "the key may not use the model"),
            (404, "there is no such file of this account"), (429, "a budget, too many open batches, or the vendor's limit; `Retry-After`"),
            (502, "the vendor failed, or refused the gateway's key"), (504, "the vendor did not answer in time"),
        ],
        example: .init(body: ["input_file_id": "file-example", "endpoint": "/v1/chat/completions", "completion_window": "24h"]))

    static let listBatches = RouteDescription(
        id: "listBatches", chapter: .batches, summary: "One's own batches, newest first, as the gateway has seen them last.", notes: notes,
        reference: openAI + "batch/list", query: [APIField("limit", .integer(1...100), "20 by default.").optional, after], answer: json,
        errors: [(400, "a parameter is wrong")])

    static let batch = RouteDescription(
        id: "getBatch", chapter: .batches, summary: "One of one's own batches.", reference: openAI + "batch/retrieve", path: [batchID],
        answer: json, errors: gone, example: .init(path: "/v1/batches/batch_example"))

    static let cancel = RouteDescription(
        id: "cancelBatch", chapter: .batches, summary: "Cancels a batch; what it has done by then is charged.",
        reference: openAI + "batch/cancel", path: [batchID], answer: json, errors: gone,
        example: .init(path: "/v1/batches/batch_example/cancel"))
}
