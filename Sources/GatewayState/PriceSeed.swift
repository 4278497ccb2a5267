package import Config
package import RouterCore
package import Storage

/// Price rows from provider files.
package enum PriceSeed {
    /// - Parameter current: the rows as they are.
    package static func rows(of configuration: GatewayConfiguration, _ catalogue: Catalogue, current: [PricingRow]) -> [PricingRow] {
        let used = Set(configuration.routes.channels.filter(\.isEnabled).map(\.provider.name))
        let owners = Dictionary(current.map { ($0.modelName, $0.provider) }) { _, last in last }
        return rows(of: configuration.providers, inUse: used, catalogue, owners: owners)
    }

    /// One row per model that has a price. When two files price one model, a provider that an enabled channel uses comes before one that
    /// nobody uses, so that a vendor's file alone cannot set another's price; then the first by name wins, so that the result does not
    /// depend on the order of reading. What a sync with the winner's own list has written is left as it is.
    /// - Parameter owners: whose price each model has now; another's does not stay when the winner is back.
    package static func rows(
        of providers: [ProviderSpec], inUse: Set<String>, _ catalogue: Catalogue = Catalogue(), owners: [String: String] = [:]
    ) -> [PricingRow] {
        func rank(_ provider: ProviderSpec) -> (Int, String) { (inUse.contains(provider.name) ? 0 : 1, provider.name) }
        var rows: [String: PricingRow] = [:]
        for provider in providers.sorted(by: { rank($0) < rank($1) }) {
            for model in provider.models where rows[model.id] == nil {
                guard let price = model.price else { continue }
                rows[model.id] = PricingRow(
                    modelName: model.id, displayName: model.displayName ?? model.id, provider: provider.name,
                    description: model.description ?? "", contextLength: model.contextLength,
                    maxOutputTokens: model.maxOutputTokens, price: price)
            }
        }
        return rows.values.compactMap { row in
            guard let entry = catalogue.entry(row.provider, row.modelName) else { return row }
            // A list without prices still knows names and limits better than the file.
            let isOwn = owners[row.modelName].map { $0 == row.provider } ?? true
            return entry.hasPrice && isOwn ? nil : row.with(entry.model)
        }.sorted { $0.modelName < $1.modelName }
    }
}

extension PricingRow {
    /// The row with what a vendor's list says, where it says something.
    package func with(_ model: ListedModel) -> PricingRow {
        var row = self
        row.displayName = model.displayName ?? row.displayName
        row.contextLength = model.contextLength ?? row.contextLength
        row.maxOutputTokens = model.maxOutputTokens ?? row.maxOutputTokens
        guard var price = model.price else { return row }
        row.description = model.description ?? row.description
        if price.basis == row.price.basis, price.rates.input == row.price.rates.input, price.rates.output == row.price.rates.output {
            // Most lists tell no tiers of size or service, no one-hour cache writes and no audio output; what is known of them holds while
            // the base prices do.
            if price.tiers.isEmpty { price.tiers = row.price.tiers }
            price.serviceTiers = row.price.serviceTiers
            price.pictures = price.pictures ?? row.price.pictures
            price.rates.cacheWrite1h = price.rates.cacheWrite1h ?? row.price.rates.cacheWrite1h
            price.rates.audioOutput = price.rates.audioOutput ?? row.price.rates.audioOutput
        }
        row.price = price
        return row
    }
}
