import Foundation
import NIOCore
import NIOPosix

/// A client that sends exactly these bytes, whole requests or parts of them.
final class RawConnection: Sendable {
    private let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>

    init(port: Int) async throws {
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
            host: "127.0.0.1", port: port
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            }
        }
    }

    /// Sends, and reads until `done` holds or the server closes. A server that closes while it is sent to has answered,
    /// too.
    func talk(
        _ bytes: ByteBuffer, until done: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> String {
        try await channel.executeThenClose { inbound, outbound in
            try await withThrowingTaskGroup(of: String.self) { group in
                group.addTask {
                    var text = ""
                    do {
                        for try await bytes in inbound {
                            text += String(buffer: bytes)
                            if done(text) { break }
                        }
                    } catch {
                        // Reset: what was read before is the answer.
                    }
                    return text
                }
                do { try await outbound.write(bytes) } catch {
                    // Closed before all was sent: whoever closed it has said why.
                }
                return try await group.next() ?? ""
            }
        }
    }
}

/// Resident memory of a process in bytes; nil where the system does not tell.
func residentMemory(_ processID: Int32) -> Int? {
    guard let status = try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8),
        let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") })
    else { return nil }
    return line.split(separator: " ").compactMap { Int($0) }.first.map { $0 * 1024 }
}
