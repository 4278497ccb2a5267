import HTTPTypes
import Hummingbird
import NIOCore
import Platform
import RouterCore
import Storage
import Synchronization
import Testing

@testable import Gateway
@testable import Server

/// Bounds of reads that many may ask for, or that take long.
@Suite(.timeLimit(.minutes(5))) struct ExportBoundsTests {
    private struct Sink: ResponseBodyWriter {
        mutating func write(_ buffer: ByteBuffer) async throws {}
        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }

    @Test func `an export ends when its client has left, though there is nothing to write`() async throws {
        let pages = Mutex(0)
        let response = ExportHandlers.stream(
            "log", try ExportPlaces().take(1), { pages.withLock { $0 } >= 3 }, most: 0, header: ["id"],
            page: { before in
                pages.withLock { $0 += 1 }
                return CursorPage<Int>(items: [], nextBefore: before - 1)
            }, line: { "\($0)" })
        await #expect(throws: ClientGone.self) { try await response.body.write(Sink()) }
        #expect(pages.withLock { $0 } == 3)
    }

    @Test func `a user has two exports at once`() throws {
        let places = ExportPlaces()
        let first = try places.take(1)
        do {
            let second = try places.take(1)
            let refused = #expect(throws: ManagementError.self) { try places.take(1) }
            #expect(refused?.status == .tooManyRequests && refused?.code == .tooManyRequests)
            #expect(throws: Never.self) { try places.take(2) }
            withExtendedLifetime(second) {}
        }
        #expect(throws: Never.self) { try places.take(1) }
        withExtendedLifetime(first) {}
    }

    @Test func `rankings are added up once a minute, whoever asks, and few answers are kept`() async throws {
        let answers = RankingAnswers()
        var asked = 0
        func ask(_ question: String, _ seconds: Int64) async throws -> JSONValue {
            try await answers.answer(question, now: MonotonicInstant(nanoseconds: seconds * 1_000_000_000)) {
                asked += 1
                return .integer(Int64(asked))
            }
        }
        #expect(try await ask("7", 0) == .integer(1))
        #expect(try await ask("7", 59) == .integer(1))
        #expect(try await ask("30", 59) == .integer(2))
        #expect(try await ask("7", 60) == .integer(3))
        for number in 0...RankingAnswers.most { _ = try await ask("x\(number)", 60) }
        #expect(answers.count <= RankingAnswers.most)
    }

    @Test(
        arguments: [
            ("channel.12.switch", 12), ("channel.x.switch", nil), ("channel.12", nil), ("logs.let_go_before", nil), ("catalogue.12", nil),
        ] as [(String, Int64?)])
    func `only a switch of a channel is read as one`(_ setting: String, _ channel: Int64?) {
        #expect(ChannelSwitches.channelID(setting: setting) == channel)
    }
}
