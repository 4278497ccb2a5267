import Gateway
import HTTPTypes

extension GatewayRoutes {
    /// Stored responses and conversations. The front door serves `POST {prefix}/responses` itself.
    static func responses(_ prefix: String) -> [Route] {
        let response = "\(prefix)/responses/{id}"
        let conversation = "\(prefix)/conversations/{id}"
        typealias Texts = ResponseDescriptions
        return [
            Route(.get, response, .apiKey, Texts.one, \.responses, ResponseHandlers.one),
            Route(.delete, response, .apiKey, Texts.delete, \.responses, ResponseHandlers.delete),
            Route(.post, "\(response)/cancel", .apiKey, Texts.cancel, \.responses, ResponseHandlers.cancel),
            Route(.get, "\(response)/input_items", .apiKey, Texts.inputItems, \.responses, ResponseHandlers.inputItems),
            Route(
                .post, "\(prefix)/conversations", .apiKey, body: .modelCall, Texts.createConversation, \.conversations,
                ConversationHandlers.create),
            Route(.get, conversation, .apiKey, Texts.conversationByID, \.conversations, ConversationHandlers.one),
            Route(.post, conversation, .apiKey, Texts.changeConversation, \.conversations, ConversationHandlers.change),
            Route(.delete, conversation, .apiKey, Texts.deleteConversation, \.conversations, ConversationHandlers.delete),
            Route(.get, "\(conversation)/items", .apiKey, Texts.conversationItems, \.conversations, ConversationHandlers.items),
            Route(.post, "\(conversation)/items", .apiKey, Texts.addItems, \.conversations, ConversationHandlers.addItems),
            Route(.get, "\(conversation)/items/{item_id}", .apiKey, Texts.oneItem, \.conversations, ConversationHandlers.oneItem),
            Route(.delete, "\(conversation)/items/{item_id}", .apiKey, Texts.deleteItem, \.conversations, ConversationHandlers.deleteItem),
        ]
    }
}
