import Config
import Gateway
import GatewayState
import Hummingbird
import Metering
import NIOCore
import Platform
import Storage
import Vendors

/// The management API: each group of handlers with the parts that it needs, and the front door before it.
extension GatewayProgram {
    func frontDoor(bodies: BodyMemory = BodyMemory(), limits: DoorLimits = DoorLimits()) -> FrontDoor {
        let behind = RoutesBehind(
            bounds: GatewayRoutes.bounds, session: { [doors = parts.doors] in doors.playgroundSession($0, $1) }
        ) { [publicURL = parts.doors.publicURL] error in
            var answer = ManagementError(error.status, error.message, headers: error.headers).answer()
            SecurityHeaders.add(to: &answer.headers, publicURL: publicURL)
            return answer
        }
        return parts.plane.frontDoor(proxies: parts.doors.proxies, behind: behind, bodies: bodies, limits: limits)
    }

    func router() -> Hummingbird.Router<GatewayContext> {
        let sessions = SessionCheck(doors: parts.doors, tokenLookups: parts.tokenLookups, clock: options.clock)
        let outer = OuterMiddleware(
            requestIDs: parts.plane.requestIDs, clock: options.clock, doors: parts.doors, accessLog: parts.plane.accessLog,
            crossOrigin: CrossOrigin(parts.snapshots.snapshot.configuration.server.corsOrigins), logger: logger,
            routes: GatewayRoutes.all)
        return GatewayRoutes.router(
            managementAPI(sessions), check: AccessCheck(keys: parts.plane.keyCheck, sessions: sessions), outer: outer)
    }

    private func managementAPI(_ check: SessionCheck) -> ManagementAPI {
        let clock = options.clock
        let passwords = PasswordTries(throttle: parts.doors.throttle, clock: clock)
        let figures = UserFigures(store: parts.store, meter: parts.meter, clock: clock)
        let users = userHandlers(check, figures)
        let gemini = GeminiHandlers(snapshots: parts.snapshots)
        let desk = BatchDesk(snapshots: parts.snapshots, store: parts.store, vendors: parts.vendors, clock: clock)
        let models = ModelsHandlers(snapshots: parts.snapshots, gemini: gemini)
        let pricing = PricingHandlers(snapshots: parts.snapshots, store: parts.store, reloader: parts.reloader, clock: clock)
        let access = OrganizationAccess(store: parts.store)
        let logs = LogHandlers(store: parts.store, access: access, snapshots: parts.snapshots)
        let balance = BalanceHandlers(
            store: parts.store, access: access, meter: parts.meter, levels: levelDesk, clock: clock)
        let console = ConsoleDesk(store: parts.store, vault: parts.vault, reloader: parts.reloader, snapshots: parts.snapshots)
        let catalogue = CatalogueHandlers(snapshots: parts.snapshots)
        let status = statusHandlers(check, catalogue)
        return ManagementAPI(
            accounts: AccountHandlers(store: parts.store, access: access, meter: parts.meter, clock: clock),
            audit: AuditHandlers(store: parts.store),
            balance: balance,
            batches: BatchesHandlers(desk: desk, meter: parts.meter, logger: logger),
            billing: BillingHandlers(store: parts.store, meter: parts.meter, clock: clock),
            catalogue: catalogue,
            channelConsole: ChannelConsoleHandlers(
                desk: console, channels: channelHandlers(), snapshots: parts.snapshots, vendors: parts.vendors, clock: clock),
            channels: channelHandlers(),
            console: ConsolePages(web: parts.web, snapshots: parts.snapshots),
            configuration: configurationHandlers(),
            conversations: ConversationHandlers(keeper: parts.responses, snapshots: parts.snapshots, clock: clock),
            credits: CreditHandlers(store: parts.store, access: access, meter: parts.meter, levels: levelDesk, clock: clock),
            exports: ExportHandlers(store: parts.store, logs: logs, balance: balance, meter: parts.meter),
            files: FilesHandlers(desk: desk, health: parts.health, meter: parts.meter),
            gemini: gemini,
            heldPrices: HeldPriceHandlers(
                snapshots: parts.snapshots, store: parts.store, reloader: parts.reloader, pricing: pricing, clock: clock),
            invitations: invitationHandlers,
            ledger: LedgerHandlers(store: parts.store),
            login: LoginHandlers(
                store: parts.store, snapshots: parts.snapshots, doors: parts.doors, check: check, passwords: passwords,
                tokenLookups: parts.tokenLookups, logins: parts.logins, users: users,
                lowBalance: LowBalance(store: parts.store), keys: parts.keys, clock: clock),
            logs: logs,
            margins: MarginHandlers(store: parts.store, snapshots: parts.snapshots, clock: clock),
            models: models,
            organizations: organizationHandlers,
            ownAccount: SelfHandlers(
                store: parts.store, figures: figures, lowBalance: LowBalance(store: parts.store), keys: parts.keys,
                keyChanges: parts.keyChanges, sessions: parts.doors.sessions, check: check, passwords: passwords, clock: clock),
            playground: PlaygroundHandlers(keys: parts.keys, access: access, doors: parts.doors, check: check, clock: clock),
            priceReview: priceReviewHandlers(pricing),
            pricing: pricing,
            providers: ProviderHandlers(desk: console, snapshots: parts.snapshots, clock: clock),
            rankings: RankingHandlers(store: parts.store, snapshots: parts.snapshots, check: check, clock: clock),
            redemption: redemptionHandlers(passwords),
            reference: ReferenceHandlers(),
            responses: responseHandlers,
            routerAccount: RouterAccountHandlers(
                store: parts.store, snapshots: parts.snapshots, meter: parts.meter, clock: clock),
            routerKeys: RouterKeyHandlers(
                store: parts.store, keys: parts.keys, keyChanges: parts.keyChanges, meter: parts.meter, clock: clock),
            routerModels: RouterModelsHandlers(snapshots: parts.snapshots, models: models, clock: clock),
            routes: RouteHandlers(snapshots: parts.snapshots, health: parts.health, clock: clock),
            secrets: SecretHandlers(desk: console, snapshots: parts.snapshots, clock: clock),
            stats: StatsHandlers(store: parts.store, access: access, snapshots: parts.snapshots, clock: clock),
            status: status,
            system: systemHandlers(status),
            tokens: TokenHandlers(
                store: parts.store, access: access, meter: parts.meter, keys: parts.keys, keyChanges: parts.keyChanges, clock: clock),
            users: users)
    }

    var levelDesk: LevelDesk {
        LevelDesk(store: parts.store, snapshots: parts.snapshots, keys: parts.keys, keyChanges: parts.keyChanges)
    }

    var responseSettler: ResponseSettler {
        ResponseSettler(
            snapshots: parts.snapshots, store: parts.store, meter: parts.meter, keeper: parts.responses,
            vendors: VendorResponses(snapshots: parts.snapshots, client: parts.vendors), clock: options.clock, logger: logger)
    }

    private func redemptionHandlers(_ passwords: PasswordTries) -> RedemptionHandlers {
        RedemptionHandlers(
            store: parts.store, access: OrganizationAccess(store: parts.store), meter: parts.meter, levels: levelDesk, doors: parts.doors,
            passwords: passwords, clock: options.clock)
    }

    private func priceReviewHandlers(_ pricing: PricingHandlers) -> PriceReviewHandlers {
        PriceReviewHandlers(
            snapshots: parts.snapshots, store: parts.store, vendors: parts.vendors, reloader: parts.reloader, pricing: pricing,
            clock: options.clock)
    }

    private var responseHandlers: ResponseHandlers {
        ResponseHandlers(
            keeper: parts.responses, vendors: VendorResponses(snapshots: parts.snapshots, client: parts.vendors),
            settler: responseSettler, snapshots: parts.snapshots, clock: options.clock)
    }

    private func systemHandlers(_ status: StatusHandlers) -> SystemHandlers {
        SystemHandlers(
            snapshots: parts.snapshots, store: parts.store, meter: parts.meter, poster: parts.poster, plane: parts.plane,
            responses: parts.responses, status: status, clock: options.clock)
    }

    private func userHandlers(_ check: SessionCheck, _ figures: UserFigures) -> UserHandlers {
        UserHandlers(
            store: parts.store, figures: figures, keys: parts.keys, keyChanges: parts.keyChanges, snapshots: parts.snapshots,
            responses: parts.responses, check: check, levels: levelDesk, clock: options.clock)
    }

    private var organizationHandlers: OrganizationHandlers {
        OrganizationHandlers(
            store: parts.store, access: OrganizationAccess(store: parts.store), meter: parts.meter, keys: parts.keys,
            keyChanges: parts.keyChanges, snapshots: parts.snapshots, clock: options.clock)
    }

    private var invitationHandlers: InvitationHandlers {
        InvitationHandlers(
            store: parts.store, access: OrganizationAccess(store: parts.store), keys: parts.keys, keyChanges: parts.keyChanges,
            clock: options.clock)
    }

    private func configurationHandlers() -> ConfigurationHandlers {
        ConfigurationHandlers(
            files: ConfigurationFiles(
                path: options.configPath, environment: options.environment, snapshots: parts.snapshots,
                console: { [vault = parts.vault] in try await vault.load() }),
            reloader: parts.reloader, store: parts.store, clock: options.clock, logger: logger)
    }

    private func statusHandlers(_ check: SessionCheck, _ catalogue: CatalogueHandlers) -> StatusHandlers {
        StatusHandlers(
            snapshots: parts.snapshots, catalogue: catalogue, meter: parts.meter, poster: parts.poster, plane: parts.plane,
            reloader: parts.reloader, gauges: gauges(channelHandlers()), check: check, clock: options.clock, version: options.version,
            startedAt: startedAt)
    }

    private func channelHandlers() -> ChannelHandlers {
        ChannelHandlers(
            snapshots: parts.snapshots, health: parts.health, store: parts.store, vendors: parts.vendors, clock: options.clock,
            logger: logger)
    }

    private func gauges(_ channels: ChannelHandlers) -> GatewayGauges {
        GatewayGauges(
            plane: parts.plane, meter: parts.meter, poster: parts.poster, health: parts.health, responses: parts.responses,
            channels: channels)
    }

    /// Passes the metrics to the program's metrics backend; nil where there is none.
    var metricsPublisher: MetricsPublisher? {
        MetricsPublisher.backend.map { MetricsPublisher($0, metrics: parts.plane.metrics, gauges: gauges(channelHandlers())) }
    }
}
