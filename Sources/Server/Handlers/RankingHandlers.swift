import Config
import GatewayState
import Hummingbird
import Platform
import RouterCore
import Storage
import Synchronization

/// How much the models are used, and how well they work: for users, or for everybody, as `console.rankings` says.
struct RankingHandlers: Sendable {
    let store: any UsageStore
    let snapshots: SnapshotHolder
    let check: SessionCheck
    let clock: ServerClock
    let answers = RankingAnswers()

    private static let day: Int64 = 86_400
    /// Models in the list.
    private static let most = 200

    private func admit(_ request: Request, _ context: GatewayContext) async throws {
        switch snapshots.snapshot.configuration.console.rankings {
        case .everyone: return
        case .users:
            guard let user = try await check.user(request, context), user.status == .enabled else {
                throw ManagementError(.unauthorized, "the rankings are for users: not logged in")
            }
        case .off: throw ManagementError(.notFound, "this gateway shows no rankings")
        }
    }

    /// The days before now, to the next quarter hour.
    private func window(_ days: Int64) -> Range<Int64> {
        let now = clock.unixSeconds
        let end = (now + TimeBuckets.quarter - 1) / TimeBuckets.quarter * TimeBuckets.quarter
        return max(0, end - days * Self.day)..<end
    }

    func rankings(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await admit(request, context)
        let days = try QueryFields(request, StatsDescriptions.rankings).integer("days") ?? 7
        return Envelope.ok(try await answers.answer("\(days)", now: clock.monotonic) { try await rankings(days) })
    }

    private func rankings(_ days: Int64) async throws -> JSONValue {
        let window = window(days)
        let before = max(0, window.lowerBound - days * Self.day)..<window.lowerBound
        let top = UsageQuery.Top(.tokens, limit: Self.most)
        let rows = try await store.usage(UsageQuery([window], by: .model, top: top))
        var earlier: [String: Int64] = [:]
        if !before.isEmpty {
            for row in try await store.usage(UsageQuery([before], by: .model, top: top, isWhole: false)) {
                earlier[row.key] = row.sums.tokens
            }
        }
        let all = rows.reduce(Int64(0)) { $0 + $1.sums.tokens }
        return .array(
            rows.map { row in
                let sums = row.sums
                return .object([
                    .init("model", .string(row.key)), .init("requests", .integer(sums.requests)),
                    .init("tokens", .integer(sums.tokens)), .init("share", Ratio.json(sums.tokens, of: all)),
                    .init("value", Ratio.perMillion(sums.charge, tokens: sums.tokens)),
                    .init("tokens_per_second", Ratio.speed(sums)), .init("first_token_p50", .integer(sums.firstToken.percentile(50))),
                    .init("uptime", Ratio.uptime(sums)),
                    .init("change", Ratio.json(sums.tokens, of: earlier[row.key] ?? 0)),
                ])
            })
    }

    func model(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try await admit(request, context)
        let fields = QueryFields(request, StatsDescriptions.model)
        guard let name = fields.text("model"), !name.isEmpty else {
            throw ManagementError.invalid("model", Expected("the name of a model", codes: ["model_name"]))
        }
        let days = try fields.integer("days") ?? 7
        return Envelope.ok(try await answers.answer("\(days) \(name)", now: clock.monotonic) { try await model(name, days) })
    }

    private func model(_ name: String, _ days: Int64) async throws -> JSONValue {
        let window = window(days)
        let filter = UsageFilter(model: name)
        let providers = try await store.usage(UsageQuery([window], filter: filter, by: .provider, top: .init(.requests, limit: 50)))
        let ends = stride(from: window.lowerBound, to: window.upperBound, by: Int(Self.day))
        let buckets = ends.map { $0..<min($0 + Self.day, window.upperBound) }
        let byDay = try await store.usage(UsageQuery(buckets, filter: filter))
        let sums = Dictionary(uniqueKeysWithValues: byDay.map { ($0.bucket, $0.sums) })
        return .object([
            .init("model", .string(name)),
            .init(
                "providers",
                .array(
                    providers.map { row in
                        .object([
                            .init("provider", .string(row.key)), .init("requests", .integer(row.sums.requests)),
                            .init("uptime", Ratio.uptime(row.sums)),
                            .init("first_token_p50", .integer(row.sums.firstToken.percentile(50))),
                            .init("tokens_per_second", Ratio.speed(row.sums)),
                        ])
                    })),
            .init(
                "days",
                .array(
                    buckets.enumerated().map { index, range in
                        let sums = sums[index] ?? UsageSums()
                        return .object([
                            .init("start", .integer(range.lowerBound)), .init("requests", .integer(sums.requests)),
                            .init("uptime", Ratio.uptime(sums)),
                        ])
                    })),
        ])
    }

    /// Fractions in exact decimals; null where there is nothing to divide by.
    enum Ratio {
        /// With four decimals, rounded down.
        static func json(_ part: Int64, of whole: Int64) -> JSONValue {
            guard whole > 0 else { return .null }
            return decimal(Int128(part) * 10_000 / Int128(whole), places: 4)
        }

        /// The part of the requests that was answered, apart from those that were wrong themselves.
        static func uptime(_ sums: UsageSums) -> JSONValue { json(sums.requests - sums.faults, of: sums.requests) }

        /// Tokens per second, with one decimal.
        static func speed(_ sums: UsageSums) -> JSONValue {
            guard sums.generationMilliseconds > 0 else { return .null }
            return decimal(Int128(sums.generatedTokens) * 10_000 / Int128(sums.generationMilliseconds), places: 1)
        }

        /// USD per million tokens, with four decimals.
        static func perMillion(_ charge: NanoUSD, tokens: Int64) -> JSONValue {
            guard tokens > 0 else { return .null }
            return decimal(Int128(charge.nanos) * 10 / Int128(tokens), places: 4)
        }

        private static func decimal(_ value: Int128, places: Int) -> JSONValue {
            let unit = (0..<places).reduce(Int128(1)) { unit, _ in unit * 10 }
            let fraction = String(value % unit)
            let digits = String(repeating: "0", count: places - fraction.count) + fraction
            return .number("\(value / unit).\(digits)")
        }
    }
}

/// The latest answers, each for a minute: everybody may ask, and an answer takes sums over half a year.
final class RankingAnswers: Sendable {
    private struct Entry {
        var value: JSONValue
        var until: MonotonicInstant
    }

    static let lifetime = Duration.seconds(60)
    /// The most that are kept. Names of models come from outside.
    static let most = 200

    private let entries = Mutex<[String: Entry]>([:])
    /// One question at a time: those that come together wait for the first one's answer.
    private let gate = AsyncGate()

    var count: Int { entries.withLock { $0.count } }

    func answer(_ question: String, now: MonotonicInstant, _ find: () async throws -> JSONValue) async throws -> JSONValue {
        if let known = known(question, now) { return known }
        return try await gate.run {
            if let known = known(question, now) { return known }
            let value = try await find()
            entries.withLock { entries in
                if entries.count >= Self.most { entries = entries.filter { $0.value.until > now } }
                if entries.count >= Self.most { entries = [:] }
                entries[question] = Entry(value: value, until: now.advanced(by: Self.lifetime))
            }
            return value
        }
    }

    private func known(_ question: String, _ now: MonotonicInstant) -> JSONValue? {
        entries.withLock { entries in entries[question].flatMap { $0.until > now ? $0.value : nil } }
    }
}
