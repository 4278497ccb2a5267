/// The handlers behind the front door, each with the parts of the gateway that it uses.
struct ManagementAPI: Sendable {
    let audit: AuditHandlers
    let balance: BalanceHandlers
    let batches: BatchesHandlers
    let billing: BillingHandlers
    let catalogue: CatalogueHandlers
    let channelConsole: ChannelConsoleHandlers
    let channels: ChannelHandlers
    let console: ConsolePages
    let conversations: ConversationHandlers
    let exports: ExportHandlers
    let files: FilesHandlers
    let gemini: GeminiHandlers
    let heldPrices: HeldPriceHandlers
    let ledger: LedgerHandlers
    let login: LoginHandlers
    let logs: LogHandlers
    let models: ModelsHandlers
    let ownAccount: SelfHandlers
    let playground: PlaygroundHandlers
    let pricing: PricingHandlers
    let providers: ProviderHandlers
    let rankings: RankingHandlers
    let reference: ReferenceHandlers
    let responses: ResponseHandlers
    let routerAccount: RouterAccountHandlers
    let routerKeys: RouterKeyHandlers
    let routerModels: RouterModelsHandlers
    let routes: RouteHandlers
    let secrets: SecretHandlers
    let stats: StatsHandlers
    let status: StatusHandlers
    let tokens: TokenHandlers
    let users: UserHandlers
}
