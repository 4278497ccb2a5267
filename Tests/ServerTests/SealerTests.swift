import Config
import Foundation
import RouterCore
import Storage
import Testing

@testable import Gateway
@testable import GatewayState
@testable import Platform
@testable import Server

@Suite struct SealerTests {
    private let sealer = Sealer(Secret("the secret of these tests"))

    @Test func `what is sealed opens with the same secret, and changed by a bit it does not`() throws {
        let sealed = try sealer.seal("7 abc 100", for: .knownDevice)
        #expect(sealer.open(sealed, for: .knownDevice) == "7 abc 100")
        #expect(try sealer.seal("7 abc 100", for: .knownDevice) != sealed)
        #expect(Sealer(Secret("another secret of these tests")).open(sealed, for: .knownDevice) == nil)
        for index in sealed.indices {
            for bit in 0..<8 {
                var forged = sealed
                forged[index] ^= 1 << bit
                #expect(sealer.open(forged, for: .knownDevice) == nil)
            }
        }
        for length in 0..<sealed.count { #expect(sealer.open(Array(sealed.prefix(length)), for: .knownDevice) == nil) }
    }

    @Test func `the check value names the secret and nothing else`() {
        #expect(sealer.check == Sealer(Secret("the secret of these tests")).check)
        #expect(sealer.check != Sealer(Secret("the secret of these testt")).check)
        #expect(sealer.check.count == 64 && !sealer.check.contains("secret"))
    }

    @Test func `a browser's mark is its user's, for half a year`() throws {
        func devices(_ now: Int64) -> KnownDevices {
            let clock = ServerClock(wall: { (now, 0) }, monotonic: { MonotonicInstant(nanoseconds: 0) })
            return KnownDevices(sealer: sealer, clock: clock)
        }
        let cookie = try #require(try devices(1_000).renewed(nil, of: 7))
        #expect(cookie.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) || $0 == 0x2D || $0 == 0x5F })
        let mark = try #require(devices(2_000).mark(cookie, of: 7))
        #expect(mark.userID == 7 && mark.madeAt == 1_000 && mark.id.count == 16)
        #expect(devices(2_000).mark(cookie, of: 8) == nil)
        #expect(devices(1_000 + KnownDevices.lifetime).mark(cookie, of: 7) == nil)
        for bad in [nil, "", "x", cookie + "A", String(cookie.dropLast(4)), String(repeating: "A", count: 500)] {
            #expect(devices(2_000).mark(bad, of: 7) == nil)
        }
        // Kept for a month, then made anew.
        #expect(try devices(2_000).renewed(mark, of: 7) == nil)
        #expect(try devices(1_000 + 31 * 86_400).renewed(mark, of: 7) != nil)
    }

    @Test func `the file of the secret is made once, for the owner alone, and a cut one is refused`() async throws {
        try await TestGateway.with { gateway, _ in
            let path = gateway.gateway.configuration.dataDirectory + "/session_secret"
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let store = gateway.gateway.parts.store
            let configuration = gateway.gateway.configuration
            let first = try await SessionSecret.sealer(configuration, store: store)
            #expect(try await SessionSecret.sealer(configuration, store: store).check == first.check)
            var given = configuration
            given.bootstrap.sessionSecret = Secret("another secret of these tests")
            await #expect(throws: StoreError.self) { try await SessionSecret.sealer(given, store: store) }
            given.bootstrap.sessionSecret = Secret("short")
            await #expect(throws: StoreError.self) { try await SessionSecret.sealer(given, store: store) }
            try "short\n".write(toFile: path, atomically: true, encoding: .utf8)
            await #expect(throws: StoreError.self) { try await SessionSecret.sealer(configuration, store: store) }
        }
    }
}
