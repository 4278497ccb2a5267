/// The reason for which an answer ended, in the words of OpenAI's clients, whatever its vendor calls it.
public enum AnswerFinish: String, Sendable, Hashable, CaseIterable {
    case stop, length
    case toolCalls = "tool_calls"
    case contentFilter = "content_filter"
}
