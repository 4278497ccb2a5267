import Foundation
import Testing

/// `Scripts/pin-images.sh`, with a program in the place of `docker` that knows every image: no registry is asked here.
@Suite struct PinImagesTests {
    private static let digest = "sha256:" + String(repeating: "0123456789abcdef", count: 4)

    private func run(_ arguments: [String], docker: String, in folder: URL) throws -> (status: Int32, output: String) {
        let tools = folder.appendingPathComponent("tools")
        try FileManager.default.createDirectory(at: tools, withIntermediateDirectories: true)
        // Only what the script needs, so that a crane or skopeo of this machine is not asked.
        for name in ["sh", "awk", "sort", "grep", "cat", "rm", "dirname"] {
            let link = tools.appendingPathComponent(name)
            guard !FileManager.default.fileExists(atPath: link.path) else { continue }
            let place = try #require(
                ["/bin/", "/usr/bin/"].map { $0 + name }.first { FileManager.default.isExecutableFile(atPath: $0) })
            try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: place)
        }
        let fake = tools.appendingPathComponent("docker")
        try "#!/bin/sh\n\(docker)\n".write(to: fake, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: fake.path)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [TidyTests.root.appendingPathComponent("Scripts/pin-images.sh").path] + arguments
        process.environment = ["PATH": tools.path]
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pin-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    @Test func `audit 19: images are pinned to their digests, and pinned again`() throws {
        try withFolder { folder in
            let docker = folder.appendingPathComponent("Dockerfile")
            let compose = folder.appendingPathComponent("docker-compose.yml")
            try
                "FROM --platform=linux/amd64 swift:6.3 AS build\nRUN true # FROM nothing\nFROM build AS more\nFROM host:5000/debian\nCOPY a b\n"
                .write(to: docker, atomically: true, encoding: .utf8)
            try "services:\n  db:\n    image: \"postgres:17\"\n  own:\n    image: ${IMAGE}\n".write(
                to: compose, atomically: true, encoding: .utf8)
            let files = ["Dockerfile", "docker-compose.yml"]
            let before = try run(["--check"] + files, docker: "exit 9", in: folder)
            #expect(
                before.status == 1 && before.output.contains("swift:6.3 has no digest")
                    && before.output.contains("postgres:17 has no digest"))
            for _ in 0..<2 {
                let pinned = try run(files, docker: "echo \(Self.digest)", in: folder)
                #expect(pinned.status == 0, "\(pinned.output)")
                #expect(
                    try String(contentsOf: docker, encoding: .utf8)
                        == "FROM --platform=linux/amd64 swift:6.3@\(Self.digest) AS build\nRUN true # FROM nothing\nFROM build AS more\n"
                        + "FROM host:5000/debian:latest@\(Self.digest)\nCOPY a b\n")
                #expect(
                    try String(contentsOf: compose, encoding: .utf8)
                        == "services:\n  db:\n    image: postgres:17@\(Self.digest)\n  own:\n    image: ${IMAGE}\n")
                #expect(try run(["--check"] + files, docker: "exit 9", in: folder).status == 0)
            }
        }
    }

    @Test(arguments: ["exit 1", "echo nonsense"]) func `an image that cannot be looked up changes nothing`(
        docker: String
    ) throws {
        try withFolder { folder in
            let file = folder.appendingPathComponent("Dockerfile")
            try "FROM swift:6.3\n".write(to: file, atomically: true, encoding: .utf8)
            let result = try run(["Dockerfile"], docker: docker, in: folder)
            #expect(result.status == 1 && result.output.contains("swift:6.3"), "\(result.output)")
            #expect(try String(contentsOf: file, encoding: .utf8) == "FROM swift:6.3\n")
        }
    }

    @Test func `audit 19: the container is restarted when the gateway is dead, not when its ledger is`() throws {
        let text = try String(contentsOf: TidyTests.root.appendingPathComponent("Dockerfile"), encoding: .utf8)
        let check = text.split(separator: "\n").filter { $0.hasPrefix("HEALTHCHECK") }
        #expect(check.count == 1 && check[0].contains("/health/live") && !check[0].contains("/health/ready"))
    }
}
