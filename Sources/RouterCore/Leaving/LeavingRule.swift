/// What becomes of the upstream call of a request whose client has left.
public enum LeavingAction: Sendable, Hashable {
    /// It is ended at once.
    case cancel
    /// It is read on for the vendor's figures, within bounds of time and number.
    case drain
}

/// Decides that, from what is known of vendor, model and request. Pure, so that the table in docs/ledger.md can be
/// tested.
public struct LeavingRule: Sendable, Hashable {
    public var billing: BillingTraits
    /// The answer comes in pieces, so that a vendor can bill what was written until the connection closed.
    public var isStream: Bool
    /// The last preview of a picture is nearly the picture: whoever leaves then still pays what the vendor says of the
    /// whole.
    public var isPicture: Bool
    /// The model may think in secret: what it has thought so far is in no byte of its answer, only in the figures at
    /// its end.
    public var mayThink: Bool

    public init(billing: BillingTraits, isStream: Bool, isPicture: Bool = false, mayThink: Bool = false) {
        self.billing = billing
        self.isStream = isStream
        self.isPicture = isPicture
        self.mayThink = mayThink
    }

    public var action: LeavingAction {
        // Nobody bills anything, and the machine has better things to do.
        if billing.isFree { return .cancel }
        return isBilledOn || mayThink ? .drain : .cancel
    }

    /// The vendor bills the whole answer, whether or not anybody reads it. A call that is cut all the same has a bill
    /// that nobody here will ever know; whoever crowds out the draining of his own answers must not get them for less.
    public var isBilledOn: Bool { !billing.isFree && !(billing.cancelStopsBilling && isStream && !isPicture) }
}

extension RouteCandidate {
    /// Whether the model may think before or between what it writes: the provider file's word, else what its names
    /// tell.
    public var isThinkingModel: Bool {
        let listed = channel.provider.models.first { $0.id == upstreamModel }
        return listed?.reasoning ?? (ThinkingModels.isKnown(upstreamModel) || ThinkingModels.isKnown(model))
    }

    /// The same for this request, which may ask for it where the model alone would not.
    public func mayThink(_ envelope: RequestEnvelope) -> Bool {
        guard envelope.endpoint.hasOutputBound else { return false }
        return isThinkingModel || envelope.asksForThinking || channel.provider.request.asksForThinking
    }
}

extension RequestRules {
    /// The operator asks for it in the provider file.
    var asksForThinking: Bool {
        (defaults + set).contains { field in
            let name = field.name.lowercased()
            return (name.contains("reasoning") || name.contains("thinking"))
                && !["null", "false", "0", "\"none\""].contains(field.json)
        }
    }
}
