import RouterCore
import Storage
import Testing

/// Channels, providers and secrets of the console, on both databases.
@Suite(.timeLimit(.minutes(5))) struct ConsoleConformance {
    private func entry(_ action: String, at now: Int64 = 5) -> AuditEntry { AuditEntry(actorID: 7, action: action, at: now) }

    @Test(arguments: StoreFactory.all) func `rows are kept, changed by version and removed, each with its audit`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        #expect(try await store.consoleRows() == [])
        let rows = [
            ConsoleRow(key: .channel(1_000_000), config: #"{"name":"a"}"#, sealed: [1, 0, 255]),
            ConsoleRow(key: .provider("own"), config: #"{"base_url":"http://x"}"#), ConsoleRow(key: .secret("A_KEY"), sealed: [9]),
        ]
        for row in rows { try await store.addConsoleRow(row, audit: entry("add")) }
        let found = try await store.consoleRows()
        #expect(found.map(\.key) == rows.map(\.key) && found.map(\.config) == rows.map(\.config))
        #expect(found.map(\.sealed) == rows.map(\.sealed))
        #expect(found.allSatisfy { $0.version == 1 && $0.createdAt == 5 && $0.updatedAt == 5 })
        for row in rows {
            await #expect(throws: StoreError.self) { try await store.addConsoleRow(row, audit: entry("twice")) }
        }

        var changed = try #require(try await store.consoleRow(.channel(1_000_000)))
        changed.config = #"{"name":"b"}"#
        changed.sealed = nil
        try await store.changeConsoleRow(changed, audit: entry("change", at: 8))
        let now = try #require(try await store.consoleRow(.channel(1_000_000)))
        #expect(now.config == changed.config && now.sealed == nil && now.version == 2 && now.createdAt == 5 && now.updatedAt == 8)
        // The second of two changes of one state is refused, and leaves no record.
        await #expect(throws: StoreError.conflict("it was changed in the meantime; read it again")) {
            try await store.changeConsoleRow(changed, audit: entry("late"))
        }
        await #expect(throws: StoreError.notFound) {
            try await store.changeConsoleRow(ConsoleRow(key: .provider("none"), version: 1), audit: entry("none"))
        }

        try await store.setSetting("channel.1000000.switch", "disabled")
        try await store.removeConsoleRow(.channel(1_000_000), audit: entry("remove"))
        #expect(try await store.setting("channel.1000000.switch") == nil)
        #expect(try await store.consoleRow(.channel(1_000_000)) == nil)
        await #expect(throws: StoreError.notFound) { try await store.removeConsoleRow(.channel(1_000_000), audit: entry("again")) }
        let actions = try await store.auditRows(PageRequest(page: 1, size: 100)).items.filter { $0.actorID == 7 }.map(\.action)
        #expect(actions == ["remove", "change", "add", "add", "add"])
    }

    @Test(arguments: StoreFactory.all) func `a channel leaves the switch to the file's channel with its id`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        for (keeps, left) in [(true, "disabled"), (false, nil)] as [(Bool, String?)] {
            try await store.addConsoleRow(ConsoleRow(key: .channel(7)), audit: entry("add"))
            try await store.setSetting("channel.7.switch", "disabled")
            try await store.removeConsoleRow(.channel(7), keepsSwitch: keeps, audit: entry("remove"))
            #expect(try await store.consoleRow(.channel(7)) == nil)
            #expect(try await store.setting("channel.7.switch") == left)
        }
    }

    @Test(arguments: StoreFactory.all) func `an id is given once`(_ factory: StoreFactory) async throws {
        let store = try await factory.open()
        #expect(try await store.claimConsoleChannelID(avoiding: []) == 1_000_000)
        try await store.addConsoleRow(ConsoleRow(key: .channel(1_000_001)), audit: entry("add"))
        #expect(try await store.claimConsoleChannelID(avoiding: [1_000_002, 5]) == 1_000_003)
        try await store.removeConsoleRow(.channel(1_000_001), audit: entry("remove"))
        #expect(try await store.claimConsoleChannelID(avoiding: []) == 1_000_004)
        let claimed = try await withThrowingTaskGroup(of: Int64.self) { group in
            for _ in 0..<8 { group.addTask { try await store.claimConsoleChannelID(avoiding: []) } }
            return try await group.reduce(into: Set<Int64>()) { $0.insert($1) }
        }
        #expect(claimed == Set(1_000_005...1_000_012))
    }

    @Test(arguments: StoreFactory.all) func `seals are replaced together with the setting, or not at all`(
        _ factory: StoreFactory
    ) async throws {
        let store = try await factory.open()
        for key in [ConsoleRow.Key.secret("A"), .secret("B")] {
            try await store.addConsoleRow(ConsoleRow(key: key, sealed: [1]), audit: entry("add"))
        }
        var rows = try await store.consoleRows()
        for index in rows.indices { rows[index].sealed = [2] }
        var stale = rows
        stale[1].version = 7
        await #expect(throws: StoreError.self) {
            try await store.resealConsole(stale, setting: ("check", "new"), audit: entry("reseal"))
        }
        #expect(try await store.consoleRows().map(\.sealed) == [[1], [1]])
        #expect(try await store.setting("check") == nil)
        try await store.resealConsole(rows, setting: ("check", "new"), audit: entry("reseal"))
        #expect(try await store.consoleRows().map(\.sealed) == [[2], [2]])
        #expect(try await store.setting("check") == "new")
    }

    @Test(.timeLimit(.minutes(1))) func `gateways on PostgreSQL hear of each change`() async throws {
        let store = try await StoreFactory.postgres.open()
        let changes = try #require(store.changes())
        await Self.wait(for: .everything, changes)
        try await store.addConsoleRow(ConsoleRow(key: .channel(1_000_000)), audit: entry("add"))
        await Self.wait(for: .channels, changes)
        try await store.changeConsoleRow(ConsoleRow(key: .channel(1_000_000), version: 1), audit: entry("change"))
        await Self.wait(for: .channels, changes)
        try await store.removeConsoleRow(.channel(1_000_000), audit: entry("remove"))
        await Self.wait(for: .channels, changes)
        try await store.addConsoleRow(ConsoleRow(key: .secret("A"), sealed: [1]), audit: entry("add"))
        await Self.wait(for: .channels, changes)
        try await store.close()
    }

    /// Taken up where the last one ended: a stream keeps what nobody has read yet.
    private static func wait(for topic: StoreChange.Topic, _ changes: AsyncStream<[StoreChange]>) async {
        for await batch in changes where batch.contains(where: { $0.topic == topic }) { return }
    }
}
