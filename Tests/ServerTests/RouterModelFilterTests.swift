import HTTPTypes
import Hummingbird
import NIOCore
import RouterCore
import Testing

@testable import Gateway
@testable import Server

/// Filters, orders and pages of `GET /api/v1/models`.
@Suite struct RouterModelFilterTests {
    private static let day: Int64 = 86_400
    private static let now: Int64 = 100 * day

    private static func model(
        _ id: String, _ input: String?, _ output: String = "0", context: Int64? = nil, created: Int64 = 0, takes: [String] = ["text"],
        gives: [String] = ["text"], parameters: [String] = [], tokenizer: String? = nil, host: String = "p"
    ) throws -> RouterModel {
        let price = try input.map {
            ModelPrice(
                rates: .init(
                    input: try FemtoUSD.parse(usdPerMillion: $0).price, output: try FemtoUSD.parse(usdPerMillion: output).price))
        }
        var facts = ModelFacts()
        facts.supportedParameters = parameters
        facts.tokenizer = tokenizer
        return RouterModel(
            id: id, displayName: "Name of \(id)", description: "", created: created, takes: takes, gives: gives, facts: facts,
            hosts: [.init(tag: host, name: host.uppercased(), price: price ?? .upstreamCost, contextLength: context)])
    }

    private static func models() throws -> [RouterModel] {
        [
            try model("alpha/one", "1", "2", context: 1_000, created: now - 10 * day, parameters: ["tools", "seed"], tokenizer: "GPT"),
            try model("alpha/two", "0.5", "9", context: 9_000, created: now - 5 * day, takes: ["text", "image"], tokenizer: "Claude"),
            try model("beta/any", nil, context: nil, created: now - 50 * day, parameters: ["tools"], host: "q"),
            try model("beta/embed", "0.1", created: now, gives: ["embeddings"]),
            try model("plain", "3", "0", context: 500, created: now - day, gives: ["text", "image"]),
        ]
    }

    private func filter(_ query: String) throws -> RouterModelFilter {
        let request = Request(
            head: HTTPRequest(method: .get, scheme: "http", authority: "h", path: "/api/v1/models?\(query)"),
            body: RequestBody(buffer: ByteBuffer()))
        let description = RouterModelDescriptions.list
        return try RouterModelFilter(
            request, QueryFields(request, description), Set(description.query.map(\.name)), now: Self.now)
    }

    @Test(arguments: [
        ("", "alpha/one alpha/two beta/any plain"), ("output_modalities=all", "alpha/one alpha/two beta/any beta/embed plain"),
        ("output_modalities=embeddings,image", "beta/embed plain"), ("input_modalities=image", "alpha/two"),
        ("q=ALPHA", "alpha/one alpha/two"), ("q=name%20of%20plain", "plain"), ("q=Name+of+plain", "plain"),
        ("supported_parameters=tools", "alpha/one beta/any"),
        ("supported_parameters=tools,%20seed", "alpha/one"), ("context=1000", "alpha/one alpha/two"),
        ("arch=gpt,claude", "alpha/one alpha/two"),
        ("model_authors=beta", "beta/any"), ("providers=Q", "beta/any"), ("max_price=1", "alpha/one alpha/two"),
        ("min_price=0.6", "alpha/one plain"), ("min_output_price=3", "alpha/two"), ("max_output_price=2&min_price=2", "plain"),
        ("min_age_days=10", "alpha/one beta/any"), ("max_age_days=5", "alpha/two plain"),
        ("sort=newest", "plain alpha/two alpha/one beta/any"),
        ("sort=pricing-low-to-high", "alpha/one plain alpha/two beta/any"),
        ("sort=pricing-high-to-low", "alpha/two alpha/one plain beta/any"),
        ("sort=context-high-to-low", "alpha/two alpha/one plain beta/any"), ("category=", "alpha/one alpha/two beta/any plain"),
    ])
    func `filters and orders`(_ query: String, _ expected: String) throws {
        #expect(try filter(query).all(try Self.models()).map(\.id).joined(separator: " ") == expected)
    }

    @Test(arguments: [
        ("category=programming", "category"), ("zdr=true", "zdr"), ("region=eu", "region"), ("sort=most-popular", "sort"),
        ("output_modalities=smell", "output_modalities"), ("input_modalities=text,smell", "input_modalities"),
        ("max_price=cheap", "max_price"),
        ("min_output_price=-1", "min_output_price"),
    ])
    func `what cannot be served is refused by name`(_ query: String, _ name: String) {
        #expect { try filter(query) } throws: { error in
            guard let error = error as? APIError else { return false }
            return error.status == .badRequest && error.param == name && error.message.contains("'\(name)'")
        }
    }

    @Test func `numbers beyond their range are refused`() {
        for query in ["offset=-1", "limit=0", "limit=1001", "context=many", "min_age_days=100001"] {
            #expect(throws: ManagementError.self, "\(query)") { try filter(query) }
        }
    }

    @Test func `pages join to the whole list`() throws {
        let models = try Self.models()
        #expect(try filter("").cut(models).next == nil && filter("").cut(models).models.count == 5)
        var seen: [String] = []
        var next: Int? = 0
        while let offset = next {
            let (page, after) = try filter("offset=\(offset)&limit=2").cut(models)
            seen += page.map(\.id)
            next = after
        }
        #expect(seen == models.map(\.id))
        #expect(try filter("offset=9").cut(models).models.isEmpty && filter("offset=9").cut(models).next == nil)
        #expect(try filter("offset=3").pageLimit == 500 && filter("limit=2").pageLimit == 2)
    }
}
