import NIOCore

/// Whether contents are harmful (`/moderations`, https://platform.openai.com/docs/api-reference/moderations).
public enum ModerationsOperation: Operation {
    static var mayOmitModel: Bool { true }

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {
        request.isStream = false
    }

    static func strictShape(_ dialect: Dialect) -> StrictRequestShape { strict }

    private static let strict = StrictRequestShape(
        body: StrictFields.merged(StrictFields.gateway, ["input": .textOr(.textOr(.named("moderated")))]),
        named: StrictChat.named)
}
