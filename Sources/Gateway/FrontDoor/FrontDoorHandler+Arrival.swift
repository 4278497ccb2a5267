import NIOCore

/// Time limits for what a connection sends and receives.
extension FrontDoorHandler {
    // MARK: Arrival

    /// Sets the timer for a head or a body that did not arrive in one read. Most arrive in one and need no timer.
    func watchArrival() {
        guard arrivalTimer == nil, let context else { return }
        let delay: TimeAmount
        switch state {
        case .idle: delay = door.limits.head
        case .receiving(let incoming, let body):
            receivedBefore = body.readableBytes
            delay = incoming.bound.arrival.window
        case .discarding(let left):
            receivedBefore = door.limits.maximumDiscarded - left
            delay = door.limits.discarded.window
        case .passing, .running, .closing, .closed: return
        }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        arrivalTimer = context.eventLoop.scheduleTask(in: delay) { bound.value.checkArrival() }
    }

    func stopWatching() {
        arrivalTimer?.cancel()
        arrivalTimer = nil
    }

    private func checkArrival() {
        arrivalTimer = nil
        guard let context else { return }
        switch state {
        case .idle: close()
        case .receiving(let incoming, let body):
            guard isSlow(body.readableBytes, incoming.bound.arrival) else { return watchArrival() }
            keepsAlive = false
            refuse(.bodyTooSlow(), incoming, context)
            closeAfterWrites()
        case .discarding(let left):
            if isSlow(door.limits.maximumDiscarded - left, door.limits.discarded) { close() } else { watchArrival() }
        case .passing, .running, .closing, .closed: break
        }
    }

    private func isSlow(_ received: Int, _ limit: ArrivalLimit) -> Bool {
        .now() - receivingSince >= limit.whole || received - receivedBefore < limit.bytes
    }

    // MARK: Idleness

    /// Closes a connection that sends nothing, or reads nothing, for too long. While the gateway waits for an upstream, the upstream's
    /// limits apply.
    func watchIdleness(after delay: TimeAmount) {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        idleTimer = context.eventLoop.scheduleTask(in: delay) { bound.value.checkIdleness() }
    }

    /// A client that takes an answer slowly but steadily is not idle.
    private func noteProgress() {
        guard let left = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes) else { return }
        if left > 0, left != unsent { lastActivity = .now() }
        unsent = left
    }

    private func checkIdleness() {
        let isWorking: Bool
        switch state {
        case .running: isWorking = !isWaitingForClient
        case .passing: isWorking = true
        case .idle, .receiving, .discarding, .closing: isWorking = false
        case .closed: return
        }
        noteProgress()
        let limit = isFresh ? door.limits.firstHead : door.limits.idle
        let rest = lastActivity + limit - .now()
        if isWorking {
            watchIdleness(after: limit)
        } else if rest > .zero {
            watchIdleness(after: rest)
        } else {
            close()
        }
    }
}
