import ArgumentParser
import Config
import Foundation
import RouterCore
import Server
import Storage
import Vendors

extension ModelsCommand {
    struct Price: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "price", abstract: "Set the price of a model, as PUT /api/models/pricing does.",
            discussion: """
                Works on the ledger of the configuration, whether a gateway is running or not; a running one takes the price up within seconds. \
                Amounts are USD: per million tokens, per million characters, per image, request, search and second of audio. What is not named \
                stays as it is; naming --input or --output drops prices by length and service tier. Afterwards lists and files no longer change \
                the price.
                """)

        @OptionGroup var common: ConfigOption
        @Argument(help: "The model's public name.") var model: String
        @Option(help: "Per million prompt tokens.") var input: PriceAmount?
        @Option(help: "Per million tokens of the answer.") var output: PriceAmount?
        @Option(help: "Per million prompt tokens from the vendor's cache.") var cacheRead: PriceAmount?
        @Option(help: "Per million prompt tokens written to the cache.") var cacheWrite: PriceAmount?
        @Option(name: .customLong("cache-write-1h"), help: "The same for an hour.") var cacheWrite1h: PriceAmount?
        @Option(help: "Per million tokens of thought.") var reasoning: PriceAmount?
        @Option(help: "Per million tokens of sound in the prompt.") var audioInput: PriceAmount?
        @Option(help: "Per million tokens of sound in the answer.") var audioOutput: PriceAmount?
        @Option(help: "Per million characters that are spoken.") var character: PriceAmount?
        @Option(help: "Per image.") var image: PriceAmount?
        @Option(help: "Per request.") var request: PriceAmount?
        @Option(help: "Per search, or per search unit of a reranker.") var search: PriceAmount?
        @Option(help: "Per second of audio.") var audioSecond: PriceAmount?
        @Flag(help: "The model costs nothing.") var free = false

        func validate() throws {
            if let problem = ModelName.problem(model) { throw ValidationError("the model's name \(problem)") }
            let amounts = [
                input, output, cacheRead, cacheWrite, cacheWrite1h, reasoning, audioInput, audioOutput, character, image, request, search,
                audioSecond,
            ]
            let hasAmount = amounts.contains { $0 != nil }
            guard hasAmount != free else {
                throw ValidationError(
                    free ? "--free and prices exclude each other" : "name a price, such as --input 0.25 --output 2, or --free")
            }
        }

        func run() async throws {
            let now = Int64(Date().timeIntervalSince1970)
            let row: PricingRow
            do {
                row = try await common.withStore { store, _ in
                    let old = try await store.allPrices().first { $0.modelName == model }
                    var row = old ?? PricingRow(modelName: model, displayName: model, price: .free)
                    try set(&row.price, isNew: old == nil)
                    row.isActive = true
                    let audit = AuditEntry(actorID: nil, action: "pricing.change", detail: [.init("model_name", .string(model))], at: now)
                    return try await store.setPrice(row, now: now, audit: audit)
                }
            } catch StoreError.conflict(let detail) {
                throw ValidationError(detail)
            } catch StoreError.database(let detail) {
                throw ValidationError("nothing was changed, because the database failed or is busy: \(detail)")
            }
            print("\(model): \(PriceWords.text(row.price)) (version \(row.version))")
        }

        private func set(_ price: inout ModelPrice, isNew: Bool) throws {
            if free {
                price = .free
                return
            }
            let unit = [character, image, request, search, audioSecond].contains { $0 != nil }
            if isNew, !unit, input == nil { throw ValidationError("'\(model)' has no price yet: name --input as well") }
            if input != nil || output != nil || price.basis == .upstreamCost {
                // The tiers and the vendor's reported cost went with the old price.
                price.basis = .metered
                price.tiers = []
                price.serviceTiers = []
            }
            if let input { price.rates.input = try input.perMillion() }
            if let output { price.rates.output = try output.perMillion() }
            if let cacheRead { price.rates.cacheRead = try cacheRead.perMillion() }
            if let cacheWrite { price.rates.cacheWrite5m = try cacheWrite.perMillion() }
            if let cacheWrite1h { price.rates.cacheWrite1h = try cacheWrite1h.perMillion() }
            if let reasoning { price.rates.reasoning = try reasoning.perMillion() }
            if let audioInput { price.rates.audioInput = try audioInput.perMillion() }
            if let audioOutput { price.rates.audioOutput = try audioOutput.perMillion() }
            if let character { price.character = try character.perMillion() }
            if let image { price.image = try image.each() }
            if let request { price.request = try request.each() }
            if let search { price.search = try search.each() }
            if let audioSecond { price.audioSecond = try audioSecond.each() }
        }
    }
}

/// An amount as it was typed: its text becomes an exact price, never a floating point number.
struct PriceAmount: ExpressibleByArgument {
    private let text: String

    init?(argument: String) { text = argument }

    func perMillion() throws -> FemtoUSD { try exact { try FemtoUSD.parse(usdPerMillion: $0) } }
    func each() throws -> FemtoUSD { try exact { try FemtoUSD.parse(usdPerUnit: $0) } }

    private func exact(_ parse: (String) throws -> FemtoUSD.Parsed) throws -> FemtoUSD {
        guard let parsed = try? parse(text) else { throw ValidationError("'\(text)' is no price: a number such as 0.25, not negative") }
        guard parsed.isExact else { throw ValidationError("'\(text)' is finer than 10^-15 USD per unit") }
        return parsed.price
    }
}

/// A price in words: only what it names.
enum PriceWords {
    static func text(_ price: ModelPrice) -> String {
        guard price.basis == .metered else { return "the vendor's reported cost" }
        let rates = price.rates
        let perMillion: [(String, FemtoUSD?)] = [
            ("input", rates.input), ("output", rates.output), ("cache_read", rates.cacheRead), ("cache_write", rates.cacheWrite5m),
            ("cache_write_1h", rates.cacheWrite1h), ("reasoning", rates.reasoning), ("audio_input", rates.audioInput),
            ("audio_output", rates.audioOutput), ("character", price.character),
        ]
        let each = [("image", price.image), ("request", price.request), ("search", price.search), ("audio_second", price.audioSecond)]
        let words =
            perMillion.compactMap { name, amount in amount.flatMap { $0 > .zero ? "\(name) \($0.usdPerMillionText) per million" : nil } }
            + each.compactMap { $1 > .zero ? "\($0) \($1.usdText)" : nil }
        return words.isEmpty ? "free" : "USD " + words.joined(separator: ", ")
    }
}
