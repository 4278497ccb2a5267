/// One upstream call of a request, as the request log lists it.
public struct AttemptRecord: Sendable, Hashable {
    public var channelID: Int64
    public var upstreamModel: String
    /// The upstream's HTTP status; nil when no head came.
    public var status: Int?
    /// The failure; nil when the attempt gave the answer.
    public var kind: FailureKind?
    /// Time from the start of the call to its content or its failure.
    public var milliseconds: Int64
    /// Tokens that the vendor bills for a failed attempt, if it reported them. Never charged to the user.
    public var billedTokens: Int64?
    public var upstreamCost: NanoUSD?
    /// The cost of a failed attempt, as far as its usage is known: a part of the request's cost.
    public var cost: VendorCost?

    public init(
        channelID: Int64, upstreamModel: String, status: Int? = nil, kind: FailureKind? = nil, milliseconds: Int64,
        billedTokens: Int64? = nil, upstreamCost: NanoUSD? = nil, cost: VendorCost? = nil
    ) {
        self.channelID = channelID
        self.upstreamModel = upstreamModel
        self.status = status
        self.kind = kind
        self.milliseconds = milliseconds
        self.billedTokens = billedTokens
        self.upstreamCost = upstreamCost
        self.cost = cost
    }
}

extension [AttemptRecord] {
    /// The record as JSON, the form in which the log stores and shows it.
    public var json: JSONValue {
        .array(
            map { attempt in
                var members: [JSONValue.Member] = [
                    .init("channel_id", .integer(attempt.channelID)), .init("upstream_model", .string(attempt.upstreamModel)),
                    .init("status", attempt.status.map { .integer($0) } ?? .null), .init("failure", .optional(attempt.kind?.rawValue)),
                    .init("ms", .integer(attempt.milliseconds)), .init("billed_tokens", attempt.billedTokens.map { .integer($0) } ?? .null),
                    .init("upstream_cost_nanos", attempt.upstreamCost.map { .integer($0.nanos) } ?? .null),
                ]
                if let cost = attempt.cost {
                    members.append(.init("cost_nanos", .integer(cost.amount.nanos)))
                    members.append(.init("cost_source", .string(cost.source.rawValue)))
                }
                return .object(members)
            })
    }

    /// Reads the output of ``json``; entries that this version does not understand are left out.
    public init(_ json: JSONValue) {
        self = (json.arrayValue ?? []).compactMap { item in
            guard let channel = item["channel_id"]?.integerValue else { return nil }
            return AttemptRecord(
                channelID: channel, upstreamModel: item["upstream_model"]?.stringValue ?? "",
                status: item["status"]?.integerValue.map { Int($0) },
                kind: item["failure"]?.stringValue.flatMap { FailureKind(rawValue: $0) },
                milliseconds: item["ms"]?.integerValue ?? 0, billedTokens: item["billed_tokens"]?.integerValue,
                upstreamCost: item["upstream_cost_nanos"]?.integerValue.map { NanoUSD(nanos: $0) },
                cost: item["cost_nanos"]?.integerValue.map { nanos in
                    VendorCost(
                        NanoUSD(nanos: nanos), item["cost_source"]?.stringValue.flatMap { VendorCost.Source(rawValue: $0) } ?? .computed)
                })
        }
    }
}
