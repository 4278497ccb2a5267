/// A change by another gateway on the same database.
public struct StoreChange: Sendable, Hashable {
    public enum Topic: String, Sendable, Hashable {
        case users, tokens, settings, prices = "model_pricing"
        /// There are new management tokens.
        case accessTokens = "access_tokens"
        /// Sessions or management tokens have ended: one (`hash <hexadecimal digits>`), or some of a user's (`user <id>`).
        case endedTokens = "ended_tokens"
        /// Another gateway needs money of this user that is leased here.
        case recall
        /// Money of this user has been given back.
        case freed
        /// A membership was added, changed or ended (`<organisation> <user>`).
        case memberships
        /// Channels, providers or sealed secrets of the console.
        case channels
        /// Changes may have been missed: everything is to be read again.
        case everything
    }
    public var topic: Topic
    /// An id or a name.
    public var subject: String

    public init(topic: Topic, subject: String) {
        self.topic = topic
        self.subject = subject
    }
}
