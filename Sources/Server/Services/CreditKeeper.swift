import Logging
import Metering
import Platform
import RouterCore
import ServiceLifecycle
import Storage

/// Takes back what gifts have left when their end has come. Every gateway does it: the database lets one of them succeed with each gift.
struct CreditKeeper: Service {
    let store: any CreditStore & RedemptionStore
    let meter: Meter
    let clock: ServerClock
    let logger: Logger

    private static let interval = Duration.seconds(60)
    /// Gifts of one look; there may be more, which are looked at next without a pause.
    private static let portion = 200

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let hasMore = await round()
                if !hasMore { try? await Task.sleep(for: Self.interval) }
            }
        }
    }

    /// - Returns: true when there may be more, and something was done.
    private func round() async -> Bool {
        do {
            return try await expire(most: Self.portion) == Self.portion
        } catch {
            logger.debug("gifts could not be looked at; it is tried again", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Ends the gifts that are due. - Returns: how many this call has ended. - Throws: ``StoreError`` when they cannot be read.
    @discardableResult
    func expire(most: Int) async throws -> Int {
        var ended = 0
        for credit in try await store.dueCredits(now: clock.unixSeconds, limit: most) {
            if Task.isCancelled { break }
            do {
                if try await meter.expire(credit, in: store) != nil { ended += 1 }
            } catch {
                // One gift must not stand in the way of the others.
                logger.warning("a gift could not be ended; it is tried again", metadata: ["credit": "\(credit.id)", "error": "\(error)"])
            }
        }
        return ended
    }
}
