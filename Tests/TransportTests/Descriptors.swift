import Foundation

/// Open descriptors of this process.
enum Descriptors {
    /// Open TCP sockets of either side of a port, without the one that listens. A closed connection in TIME_WAIT has no inode.
    static func sockets(port: Int) throws -> Int {
        let end = ":" + String(port, radix: 16, uppercase: true)
        return try String(contentsOfFile: "/proc/self/net/tcp", encoding: .utf8).split(separator: "\n").dropFirst().count { line in
            let fields = line.split(separator: " ")
            guard fields.count > 9, fields[1].hasSuffix(end) || fields[2].hasSuffix(end) else { return false }
            return fields[3] != "0A" && fields[9] != "0"
        }
    }

    /// All of them, those of other tests included.
    static func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
}
