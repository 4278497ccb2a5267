/// The action taken on the upstream call when the client of a request has disconnected.
public enum LeavingAction: Sendable, Hashable {
    /// The call is ended at once.
    case cancel
    /// The answer is read to its end to obtain the vendor's usage, within bounds of time and number.
    case drain
}

/// Chooses the ``LeavingAction`` from what is known about vendor, model and request. A pure function of its fields, so that the table in
/// docs/ledger.md can be tested.
public struct LeavingRule: Sendable, Hashable {
    public var billing: BillingTraits
    /// The answer is streamed, so a vendor can stop billing when the connection closes.
    public var isStream: Bool
    /// The request makes images. The last preview is nearly the finished image, so a client that leaves after it still pays for the whole
    /// image as the vendor reports it.
    public var isPicture: Bool
    /// The model may reason without showing it: those tokens appear in no byte of the answer, only in the usage at its end.
    public var mayThink: Bool

    public init(billing: BillingTraits, isStream: Bool, isPicture: Bool = false, mayThink: Bool = false) {
        self.billing = billing
        self.isStream = isStream
        self.isPicture = isPicture
        self.mayThink = mayThink
    }

    public var action: LeavingAction {
        // The answer costs nothing, so there is no reason to read it.
        if billing.isFree { return .cancel }
        return isBilledOn || mayThink ? .drain : .cancel
    }

    /// The vendor bills the whole answer even if it is not read. If the drain of such a call is cut short, its true cost is never known; a
    /// client that fills all drain slots must not pay less because of it.
    public var isBilledOn: Bool { !billing.isFree && !(billing.cancelStopsBilling && isStream && !isPicture) }
}

extension RouteCandidate {
    /// Whether the model may reason before or while it writes: as the provider file says, or else as its names suggest.
    public var isThinkingModel: Bool {
        let listed = channel.provider.models.first { $0.id == upstreamModel }
        return listed?.reasoning ?? (ThinkingModels.isKnown(upstreamModel) || ThinkingModels.isKnown(model))
    }

    /// The same for this request, which may ask for reasoning even where the model would not reason by default.
    public func mayThink(_ envelope: RequestEnvelope) -> Bool {
        guard envelope.endpoint.hasOutputBound else { return false }
        return isThinkingModel || envelope.asksForThinking || channel.provider.request.asksForThinking
    }
}

extension RequestRules {
    /// The operator turns reasoning on in the provider file.
    var asksForThinking: Bool {
        (defaults + set).contains { field in
            let name = field.name.lowercased()
            return (name.contains("reasoning") || name.contains("thinking"))
                && !["null", "false", "0", "\"none\""].contains(field.json)
        }
    }
}
