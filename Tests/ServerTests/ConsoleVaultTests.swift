import Config
import RouterCore
import Storage
import Testing

@testable import Server

/// Seals of channels and secrets, and the fate of those that are tampered with.
@Suite struct ConsoleVaultTests {
    private static let sealer = Sealer(Secret("the secret of these tests"))

    private func vault(_ sealer: Sealer = sealer) -> ConsoleVault { ConsoleVault(store: NoStore(), sealer: sealer) }

    /// The vault's reading and sealing ask no store.
    private struct NoStore: ConsoleStore {
        struct Asked: Error {}
        func consoleRows() async throws -> [ConsoleRow] { throw Asked() }
        func consoleRow(_ key: ConsoleRow.Key) async throws -> ConsoleRow? { throw Asked() }
        func claimConsoleChannelID(avoiding taken: Set<Int64>) async throws -> Int64 { throw Asked() }
        func addConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws { throw Asked() }
        func changeConsoleRow(_ row: ConsoleRow, audit: AuditEntry) async throws { throw Asked() }
        func removeConsoleRow(_ key: ConsoleRow.Key, keepsSwitch: Bool, audit: AuditEntry) async throws { throw Asked() }
        func resealConsole(_ rows: [ConsoleRow], setting: (key: String, value: String), audit: AuditEntry) async throws { throw Asked() }
    }

    private var channel: ConsoleConfiguration.Channel {
        ConsoleConfiguration.Channel(
            id: 1_000_000, config: ["name": "x", "provider": "acme"],
            secrets: .init(
                keys: [Secret("sk-very-secret-key"), Secret("second")], proxy: Secret("http://u:p@proxy:1"),
                headers: [StaticHeader(name: "X-Org", value: Secret("of the org"))]))
    }

    @Test func `a channel and a secret come back as they were, and their rows show nothing`() throws {
        let row = try vault().row(channel)
        let secret = try vault().row(secret: "A_KEY", Secret("sealed value"))
        let read = vault().read([row, secret])
        #expect(read.channels == [channel] && read.secrets == ["A_KEY": Secret("sealed value")] && read.secretProblems.isEmpty)
        for row in [row, secret] {
            let bytes = String(decoding: row.sealed ?? [], as: UTF8.self) + row.config
            for text in ["very-secret", "second", "proxy", "org", "sealed value"] { #expect(!bytes.contains(text)) }
        }
        // Without secrets there is nothing to seal.
        var plain = channel
        plain.secrets = .init()
        #expect(try vault().row(plain).sealed == nil && vault().read([try vault().row(plain)]).channels == [plain])
    }

    @Test func `headers of a provider are sealed, and one whose seal does not open is not in use`() throws {
        let provider = ConsoleConfiguration.Provider(
            name: "lab", config: ["adaptor": "openai", "base_url": "https://lab.example/v1"],
            headers: [StaticHeader(name: "X-Org", value: Secret("of the org")), StaticHeader(name: "X-B", value: Secret("b"))])
        let row = try vault().row(provider)
        #expect(vault().read([row]).providers == [provider])
        #expect(!(String(decoding: row.sealed ?? [], as: UTF8.self) + row.config).contains("org"))
        var plain = provider
        plain.headers = []
        #expect(try vault().row(plain).sealed == nil && vault().read([try vault().row(plain)]).providers == [plain])

        var moved = row
        moved.key = .provider("other")
        var taken = row
        taken.key = .channel(1)
        let other = vault(Sealer(Secret("another secret of these tests")))
        for (row, vault) in [(moved, vault()), (row, other)] {
            let read = try #require(vault.read([row]).providers.first)
            #expect(read.problem == ConsoleVault.unsealable && read.headers.isEmpty)
        }
        #expect(vault().read([taken]).channels.first?.problem == ConsoleVault.unsealable)
        let new = Sealer(Secret("another secret of these tests"))
        let resealed = try ConsoleVault.resealed([row, try vault().row(plain)], from: Self.sealer, to: new)
        #expect(resealed.count == 1 && other.read(resealed).providers == [provider])
    }

    @Test func `a row that is tampered with, moved or of another secret does not open`() throws {
        let row = try vault().row(channel)
        let secret = try vault().row(secret: "A_KEY", Secret("sealed value"))
        func problem(_ row: ConsoleRow, _ vault: ConsoleVault) -> Bool {
            let read = vault.read([row])
            return read.channels.first.map { $0.problem == ConsoleVault.unsealable && $0.secrets.isEmpty }
                ?? (read.secrets.isEmpty && read.secretProblems.count == 1)
        }
        for original in [row, secret] {
            for index in (original.sealed ?? []).indices {
                var forged = original
                forged.sealed?[index] ^= 1
                #expect(problem(forged, vault()), "\(index)")
            }
            #expect(problem(original, vault(Sealer(Secret("another secret of these tests")))))
            #expect(!problem(original, vault()))
        }
        var moved = row
        moved.key = .channel(1_000_001)
        #expect(problem(moved, vault()))
        var renamed = secret
        renamed.key = .secret("B_KEY")
        #expect(problem(renamed, vault()))
        // The same identity in another kind of row.
        var crossed = row
        crossed.key = .secret("channel 1000000")
        #expect(problem(crossed, vault()))
    }

    @Test func `sealing anew opens with the new secret only, and names what neither opens`() throws {
        let (old, new) = (Self.sealer, Sealer(Secret("the new secret of these tests")))
        let rows = [
            try vault(old).row(channel), try vault(old).row(secret: "A_KEY", Secret("a")), try vault(new).row(secret: "B_KEY", Secret("b")),
            ConsoleRow(key: .provider("own")),
        ]
        let changed = try ConsoleVault.resealed(rows, from: old, to: new)
        #expect(changed.map(\.key) == [.channel(1_000_000), .secret("A_KEY")])
        #expect(vault(new).read(changed).channels == [channel] && vault(new).read(changed).secrets == ["A_KEY": Secret("a")])
        #expect(vault(old).read(changed).secrets.isEmpty)
        let error = #expect(throws: StoreError.self) {
            try ConsoleVault.resealed(rows, from: Sealer(Secret("a third secret of these tests")), to: new)
        }
        guard case .schema(let message) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(message.contains("channel 1000000") && message.contains("secret A_KEY") && !message.contains("B_KEY"))
    }

    @Test func `hints show the end of long keys only, and proxies no password`() {
        #expect(SecretHint.text(Secret("sk-0123456789abcdef")) == "sk-…cdef")
        #expect(SecretHint.text(Secret("0123456789abcdef")) == "…cdef" && SecretHint.text(Secret("short")) == "…")
        #expect(ProxyText.shown(Secret("http://user:p@ss@proxy:8080/path")) == "http://proxy:8080")
        let odds = ["user:pa/ss@proxy:8080", "user:pa?ss@proxy:8080/a?b", "u:p/a@s#s@proxy:8080", "proxy:8080?u=pass", "proxy:8080#pass"]
        for odd in odds {
            #expect(ProxyText.shown(Secret("http://" + odd)) == "http://proxy:8080", "\(odd)")
        }
        #expect(ProxyText.shown(Secret("socks5h://proxy:1080")) == "socks5h://proxy:1080" && ProxyText.shown(Secret("?")) == "…")
    }
}
