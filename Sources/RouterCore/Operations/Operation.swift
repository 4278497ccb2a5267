import NIOCore

/// The work that an endpoint asks of a vendor: the fields of a request that its price depends on, how much it may use, how much it has used
/// if no vendor says so, and how its answer comes. There is one type for each kind; ``Endpoint`` names it together with the ``Dialect`` of
/// the client. Adaptors extends the same types with the reading of answers.
protocol Operation: Sendable {
    /// Answers are written token by token, so that a bound on tokens can be told to the vendor.
    static var hasOutputBound: Bool { get }
    /// The request is `multipart/form-data`.
    static var takesForm: Bool { get }
    /// How an answer comes that is not streamed.
    static var wholeDelivery: AnswerDelivery { get }
    /// An answer may be plain text, and may come whole where a stream was asked for.
    static var mayAnswerInText: Bool { get }
    /// A vendor bills the whole answer although its client has left: the last preview of a picture is nearly the picture.
    static var isBilledToTheEnd: Bool { get }
    /// The tokens of an answer have a bound that strict admission can hold.
    static var boundsTokens: Bool { get }
    /// The model may be left out of a request.
    static var mayOmitModel: Bool { get }
    /// The cheapest request that shows that a model works, without the model; nil where none is cheap.
    static var smallestRequest: [JSONValue.Member]? { get }

    /// Reads what the price depends on beyond the fields that all requests share.
    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection)

    /// The same for a request that is a form (``takesForm``).
    static func read(_ form: MultipartForm, _ request: inout RequestEnvelope) throws(RequestEnvelope.Rejection)

    /// The fields of a form that strict admission takes.
    static var strictFields: Set<String> { get }

    /// Checks what a form's price depends on beside its fields, for strict admission.
    static func checkStrict(_ form: MultipartForm, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection)

    /// The requests that strict admission takes.
    static func strictShape(_ dialect: Dialect) -> StrictRequestShape

    /// Sets what a request may use at most (`isStrict`) or will probably use beyond its prompt. Not asked where ``hasOutputBound`` holds.
    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool)

    /// Our own count of the usage, for vendors that send none. Units without a price are not counted.
    /// - Parameter share: how much of the answer there is, for what is measured by its length.
    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage

    /// The usage that a vendor may bill once it has the request, before any part of an answer has come.
    static func handedOver(_ request: RequestEnvelope) -> AnswerShare
}

extension Operation {
    static var hasOutputBound: Bool { false }
    static var takesForm: Bool { false }
    static var wholeDelivery: AnswerDelivery { .whole }
    static var mayAnswerInText: Bool { false }
    static var isBilledToTheEnd: Bool { false }
    static var boundsTokens: Bool { true }
    static var mayOmitModel: Bool { false }
    static var smallestRequest: [JSONValue.Member]? { nil }

    static func read(_ request: inout RequestEnvelope, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {}

    static func read(_ form: MultipartForm, _ request: inout RequestEnvelope) throws(RequestEnvelope.Rejection) {}

    static var strictFields: Set<String> { [] }

    static func checkStrict(_ form: MultipartForm, _ bytes: Span<UInt8>) throws(RequestEnvelope.Rejection) {}

    static func complete(_ bound: inout UsageBound, of request: RequestEnvelope, isStrict: Bool) {}

    static func estimatedUsage(
        of request: RequestEnvelope, _ progress: AnswerProgress, price: ModelPrice, share: AnswerShare, vocabulary: BPEVocabulary?
    ) -> Usage {
        price.isTokenPriced ? Usage(uncachedInput: request.prompt.tokens) : Usage()
    }

    static func handedOver(_ request: RequestEnvelope) -> AnswerShare { .nothing }

    /// Images are inside the estimate's tokens, as they are inside a vendor's prompt tokens.
    static func textUsage(of request: RequestEnvelope, _ progress: AnswerProgress, by vocabulary: BPEVocabulary?) -> Usage {
        Usage(uncachedInput: request.promptTokens(by: vocabulary), output: progress.delivered.tokens(by: vocabulary))
    }
}
