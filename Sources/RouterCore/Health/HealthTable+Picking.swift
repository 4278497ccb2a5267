extension HealthTable {
    enum Pick {
        case key(Int), cooling(until: MonotonicInstant), refused(until: MonotonicInstant)
        /// Rate limits of the vendor keep all keys that are not refused.
        case limited(until: MonotonicInstant)
    }

    /// A key of the channel for this model, among those in health and those that may be tried again. Conversations keep
    /// to one key where they can, because prompt caches belong to accounts; others rotate at random.
    func pick(
        _ channel: Channel, model: String, affinity: AffinityKey?, excluding tried: Set<Int> = [],
        now: MonotonicInstant, rng: inout SplitMix64
    ) -> Pick {
        let count = channel.keys.count
        if count <= 1, tried.isEmpty, channels[channel.id]?.entries.isEmpty ?? true, channel.account == nil {
            return .key(count - 1)
        }
        // Keys whose cool-down is over take part, one probe at a time: otherwise a key that cooled once would never come back
        // beside a healthy one.
        var choice: [Int] = []
        var soonest: MonotonicInstant?
        var (isLimited, isCooling) = (false, false)
        for index in count == 0 ? -1..<0 : 0..<count where !tried.contains(index) {
            let target = HealthTarget(channelID: channel.id, keyIndex: index, model: model, account: channel.account)
            guard let closure = closure(scopes(target), now) else {
                choice.append(index)
                continue
            }
            soonest = min(soonest ?? closure.until, closure.until)
            if isRefused(channel, index) { continue }
            if case .limited = closure { isLimited = true } else { isCooling = true }
        }
        if let affinity, choice.count > 1 {
            let salt = AffinityKey(hash: affinity.hash ^ UInt64(bitPattern: channel.id))
            let waits = choice.map { (key: $0, wait: Rendezvous.wait(salt, Int64($0))) }
            if let best = waits.min(by: { $0.wait < $1.wait }) { return .key(best.key) }
        }
        if !choice.isEmpty { return .key(choice.count == 1 ? choice[0] : choice[Int(rng.below(UInt64(choice.count)))]) }
        let until = soonest ?? now
        if isCooling { return .cooling(until: until) }
        return isLimited ? .limited(until: until) : .refused(until: until)
    }

    /// The vendor refuses this key, or says that it has run dry.
    private func isRefused(_ channel: Channel, _ index: Int) -> Bool {
        let entry = entry(HealthScope(channelID: channel.id, keyIndex: index))
        guard let entry, entry.openUntil != nil else { return false }
        return entry.lastKind.map(CoolDown.isSlow) ?? false
    }
}
