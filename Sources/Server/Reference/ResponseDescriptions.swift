import RouterCore

/// Stored responses and conversations (docs/responses.md).
enum ResponseDescriptions {
    private static let openAI = "https://platform.openai.com/docs/api-reference/"
    private static let responseID = APIField("id", .string, "Id of a response that the key's user has had made.")
    private static let conversationID = APIField("id", .string, "Id of a conversation of the key's user.")
    private static let notFound = (status: 404, when: "the user has no such response, or has it no more")
    private static let noConversation = (status: 404, when: "the user has no such conversation, or has it no more")
    private static let full = (status: 429, when: "there is no room for more (`response_store_full`)")
    private static let outOfReach: [(status: Int, when: String)] = [
        (410, "a vendor keeps it, under an account that the gateway uses no more"), (502, "the vendor that keeps it failed"),
    ]

    private static let page: [APIField] = [
        APIField("limit", .integer(1...100), "Items of a page; 20 by default.").optional,
        APIField("order", .choice(["asc", "desc"]), "The newest first by default.").optional,
        APIField("after", .string, "The page behind the item with this id.").optional,
    ]

    private static let list = APIShape(
        name: "ItemList", meaning: "A page of items in OpenAI's form.",
        fields: [
            APIField("object", .choice(["list"]), "Always."), APIField("data", .list(.any), "The items."),
            APIField("first_id", .string, "Id of the first of them; empty when there are none."),
            APIField("last_id", .string, "Id of the last of them; the `after` of the next page."),
            APIField("has_more", .boolean, "Whether there is a next page."),
        ])

    private static func deleted(_ object: String) -> RouteDescription.Answer {
        .json(
            .object([
                APIField("id", .string, "The id."), APIField("object", .choice([object]), "Always."),
                APIField("deleted", .boolean, "True."),
            ]))
    }

    private static let conversation = APIShape(
        name: "Conversation", meaning: "A conversation in OpenAI's form.",
        fields: [
            APIField("id", .string, "`conv_…`"), APIField("object", .choice(["conversation"]), "Always."),
            APIField("created_at", .time, "When it was made."), APIField("metadata", .any, "As it was given."),
        ])

    // MARK: Responses

    static let one = RouteDescription(
        id: "getResponse", chapter: .responses, summary: "A response that was stored.",
        notes: "As its vendor keeps it, or as the client got it, where the gateway keeps it. A query goes on to a vendor.",
        reference: openAI + "responses/get", path: [responseID], answer: .json(.any), errors: [notFound] + outOfReach,
        example: .init(path: "/v1/responses/resp_example"))

    static let inputItems = RouteDescription(
        id: "listInputItems", chapter: .responses, summary: "The input of a response that was stored, that of earlier turns included.",
        reference: openAI + "responses/input-items", path: [responseID], query: page, answer: .json(.shape(list)),
        errors: [notFound] + outOfReach, example: .init(path: "/v1/responses/resp_example/input_items"))

    static let delete = RouteDescription(
        id: "deleteResponse", chapter: .responses, summary: "Deletes a response that was stored.",
        reference: openAI + "responses/delete", path: [responseID], answer: deleted("response"), errors: [notFound] + outOfReach,
        example: .init(path: "/v1/responses/resp_example"))

    static let cancel = RouteDescription(
        id: "cancelResponse", chapter: .responses, summary: "Cancels a background response.",
        notes: "It costs what was made of it. One that is over is answered as it is.", reference: openAI + "responses/cancel",
        path: [responseID], answer: .json(.any),
        errors: [notFound, (400, "the response was not made in the background")] + outOfReach,
        example: .init(path: "/v1/responses/resp_example/cancel", status: 400))

    // MARK: Conversations

    private static let metadata = APIField("metadata", .any, "An object of at most 16 texts of at most 512 bytes.")
    private static let newItems = APIField("items", .list(.any), "At most 20 items.")

    static let createConversation = RouteDescription(
        id: "createConversation", chapter: .responses, summary: "Makes a conversation, for the `conversation` of responses.",
        reference: openAI + "conversations/create", body: .vendor([newItems.optional, metadata.optional]),
        answer: .json(.shape(conversation)), errors: [full],
        example: .init(body: ["metadata": ["topic": "lighthouses"], "items": [["role": "user", "content": "Hello"]]]))

    static let conversationByID = RouteDescription(
        id: "getConversation", chapter: .responses, summary: "A conversation.", reference: openAI + "conversations/retrieve",
        path: [conversationID], answer: .json(.shape(conversation)), errors: [noConversation],
        example: .init(path: "/v1/conversations/conv_example"))

    static let changeConversation = RouteDescription(
        id: "changeConversation", chapter: .responses, summary: "Replaces the metadata of a conversation.",
        reference: openAI + "conversations/update", path: [conversationID], body: .vendor([metadata]),
        answer: .json(.shape(conversation)), errors: [noConversation, full],
        example: .init(path: "/v1/conversations/conv_example", body: ["metadata": ["topic": "harbours"]]))

    static let deleteConversation = RouteDescription(
        id: "deleteConversation", chapter: .responses, summary: "Deletes a conversation with its items; responses in it stay.",
        reference: openAI + "conversations/delete", path: [conversationID], answer: deleted("conversation.deleted"),
        errors: [noConversation], example: .init(path: "/v1/conversations/conv_example"))

    static let conversationItems = RouteDescription(
        id: "listConversationItems", chapter: .responses, summary: "The items of a conversation.",
        reference: openAI + "conversations/list-items", path: [conversationID], query: page, answer: .json(.shape(list)),
        errors: [noConversation], example: .init(path: "/v1/conversations/conv_example/items"))

    static let addItems = RouteDescription(
        id: "addConversationItems", chapter: .responses, summary: "Adds items at the end of a conversation.",
        reference: openAI + "conversations/create-items", path: [conversationID], body: .vendor([newItems]), answer: .json(.shape(list)),
        errors: [noConversation, full],
        example: .init(path: "/v1/conversations/conv_example/items", body: ["items": [["role": "user", "content": "Goodbye"]]]))

    private static let itemPath = [conversationID, APIField("item_id", .string, "Id of one of its items.")]

    static let oneItem = RouteDescription(
        id: "getConversationItem", chapter: .responses, summary: "An item of a conversation.",
        reference: openAI + "conversations/get-item", path: itemPath, answer: .json(.any), errors: [noConversation],
        example: .init(path: "/v1/conversations/conv_example/items/msg_example"))

    static let deleteItem = RouteDescription(
        id: "deleteConversationItem", chapter: .responses, summary: "Deletes an item of a conversation.",
        reference: openAI + "conversations/delete-item", path: itemPath, answer: .json(.shape(conversation)),
        errors: [noConversation, full], example: .init(path: "/v1/conversations/conv_example/items/msg_example"))
}
