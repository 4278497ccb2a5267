import Config
import GatewayState
import Metering
import RouterCore

/// How many responses may be made behind their answers: by the gateway, which knows its own, and by vendors, whose are in the ledger.
struct BackgroundPlaces: Sendable {
    let meter: Meter
    let running: RunningResponses

    /// Takes a place among those of this process. One that the ledger counts instead, once its hold is there, gives this place back then.
    /// The place is taken before the ledger is asked: of those that ask together, each is counted in one of the two.
    /// - Throws: ``APIError``, ``StoreError``; no place is taken then.
    func take(_ key: StoredResponse.Key, _ accepted: Accepted, _ pass: LimitPass?) async throws {
        let settings = accepted.snapshot.configuration.responses
        guard let own = running.begin(key, perUser: settings.maxBackgroundPerUser, all: settings.maxBackground) else {
            throw APIError.tooManyBackground()
        }
        do {
            let open = try await meter.countLong(
                .response, userID: key.userID, accountID: accepted.principal.accountID, tokenID: accepted.principal.tokenID)
            guard open.ofUser + Int64(own.ofUser) <= Int64(settings.maxBackgroundPerUser),
                open.all + Int64(own.all) <= Int64(settings.maxBackground)
            else { throw APIError.tooManyBackground() }
            if let pass, let full = Self.full(accepted.principal.rules, open) {
                throw APIError.rateLimited(.init(rule: full, limit: .concurrency, standing: pass.standing))
            }
        } catch {
            running.end(key)
            throw error
        }
    }

    /// The limit that is reached by what vendors make alone. What this process has begun is in its memory; the ledger also knows of what
    /// was begun before it started.
    static func full(_ rules: [LimitRule], _ open: LongHoldCount) -> LimitRule? {
        rules.first { rule in
            guard let most = rule.limits.concurrency else { return false }
            return switch rule.scope {
            case .key: open.ofKey >= most
            case .user, .organization: open.ofAccount >= most
            case .member: open.ofMember >= most
            }
        }
    }
}
