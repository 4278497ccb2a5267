import HTTPTypes

/// Sums of the log over time, and tables as files.
extension GatewayRoutes {
    static let statistics: [Route] = [
        Route(.get, "/api/stats/series", .user, StatsDescriptions.series, \.stats, StatsHandlers.series),
        Route(.get, "/api/stats/top", .user, StatsDescriptions.top, \.stats, StatsHandlers.top),
        Route(.get, "/api/stats/rankings", .open, StatsDescriptions.rankings, \.rankings, RankingHandlers.rankings),
        Route(.get, "/api/stats/model", .open, StatsDescriptions.model, \.rankings, RankingHandlers.model),
        Route(.get, "/api/log/export", .admin, ExportDescriptions.logs, \.exports, ExportHandlers.allLogs),
        Route(.get, "/api/log/self/export", .user, ExportDescriptions.ownLogs, \.exports, ExportHandlers.ownLogs),
        Route(.get, "/api/balance/transactions/export", .user, ExportDescriptions.transactions, \.exports, ExportHandlers.transactions),
    ]
}
