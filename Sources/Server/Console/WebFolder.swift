import CZlib
import Crypto
import Foundation
import NIOCore

/// The console's files (`web/`), read into memory: a request looks a path up in a table, so no path leads to any other file.
struct WebFolder: Sendable {
    struct File: Sendable {
        var type: String
        var bytes: ByteBuffer
        /// Compressed with gzip; nil where that saves nothing.
        var gzip: ByteBuffer?
    }

    /// The page for one language.
    struct Shell: Sendable {
        var file: File
        var eTag: String
    }

    /// Why the files cannot be served.
    struct Problem: Error, CustomStringConvertible {
        var description: String
        init(_ description: String) { self.description = description }
    }

    /// Part of the SHA-256 of all files with their names. It is part of the files' addresses, so that browsers may keep them for ever.
    let hash: String
    /// By their paths within the folder: `lib/dom.js`.
    let files: [String: File]
    private let shells: [PageLanguage: Shell]

    static let shellName = "index.html"
    private static let maximumBytes = 2 * 1024 * 1024
    private static let maximumFiles = 500
    /// Files of other kinds (notes, sources) are not served.
    private static let types = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml", "png": "image/png", "ico": "image/x-icon", "woff2": "font/woff2", "json": "application/json",
        "webmanifest": "application/manifest+json", "txt": "text/plain; charset=utf-8",
    ]
    private static let compressed: Set<String> = ["png", "woff2"]

    func shell(_ language: PageLanguage) -> Shell? { shells[language] }

    /// - Parameter contents: the files by their paths.
    /// - Throws: ``Problem`` when there is no `index.html`, or when there are too many files or bytes.
    init(_ contents: [String: [UInt8]]) throws(Problem) {
        guard contents.count <= Self.maximumFiles else { throw Problem("there are more than \(Self.maximumFiles) files") }
        guard contents.values.reduce(0, { $0 + $1.count }) <= Self.maximumBytes else {
            throw Problem("the files have more than \(Self.maximumBytes / 1024 / 1024) MB together")
        }
        guard let index = contents[Self.shellName] else { throw Problem("there is no \(Self.shellName)") }
        var digest = SHA256()
        for (path, bytes) in contents.sorted(by: { $0.key < $1.key }) {
            // With their lengths, so that no byte can belong to another file.
            digest.update(data: Array("\(path) \(bytes.count)\n".utf8))
            digest.update(data: bytes)
        }
        let hash = digest.finalize().prefix(8).map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }.joined()
        self.hash = hash
        var files: [String: File] = [:]
        for (path, bytes) in contents {
            if let type = Self.types[Self.kind(path)] {
                files[path] = Self.file(bytes, type, isCompressed: Self.compressed.contains(Self.kind(path)))
            }
        }
        self.files = files
        let text = String(decoding: index, as: UTF8.self).replacingOccurrences(of: "__ASSETS__", with: "/assets/\(hash)")
        shells = Dictionary(
            uniqueKeysWithValues: PageLanguage.allCases.map { language in
                let page = text.replacingOccurrences(of: "__LANG__", with: language.tag)
                return (
                    language, Shell(file: Self.file(Array(page.utf8), Self.types["html"] ?? ""), eTag: "W/\"\(hash)-\(language.rawValue)\"")
                )
            })
    }

    private static func kind(_ path: String) -> String {
        path.lastIndex(of: ".").map { path[path.index(after: $0)...].lowercased() } ?? ""
    }

    private static func file(_ bytes: [UInt8], _ type: String, isCompressed: Bool = false) -> File {
        File(type: type, bytes: ByteBuffer(bytes: bytes), gzip: isCompressed ? nil : gzip(bytes))
    }

    /// - Returns: nil where the result would not be smaller.
    static func gzip(_ bytes: [UInt8], level: Int32 = 9) -> ByteBuffer? {
        guard bytes.count > 1, let length = UInt32(exactly: bytes.count) else { return nil }
        let packed = [UInt8](unsafeUninitializedCapacity: bytes.count) { target, count in
            count = max(0, apir_gzip(bytes, length, target.baseAddress, length - 1, level))
        }
        return packed.isEmpty ? nil : ByteBuffer(bytes: packed)
    }
}

extension WebFolder {
    /// Where the folder is: `APIROUTER_WEB_DIR`, `./web`, `../share/apirouter/web` of the executable, or a `web` folder in one of the
    /// executable's parent folders (a build tree).
    static func locate(_ environment: [String: String]) -> String? {
        if let named = environment["APIROUTER_WEB_DIR"], !named.isEmpty { return named }
        var candidates = ["web"]
        var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        candidates.append(folder.deletingLastPathComponent().appendingPathComponent("share/apirouter/web").path)
        for _ in 0..<8 where folder.path != "/" {
            candidates.append(folder.appendingPathComponent("web").path)
            folder.deleteLastPathComponent()
        }
        return candidates.first { FileManager.default.fileExists(atPath: "\($0)/\(shellName)") }
    }

    /// Reads a folder with its folders. Hidden files, links and files with unusual names are left out.
    /// - Throws: ``Problem``.
    static func read(_ directory: String) throws(Problem) -> WebFolder {
        guard let walker = FileManager.default.enumerator(atPath: directory) else { throw Problem("it cannot be read") }
        var contents: [String: [UInt8]] = [:]
        var total = 0
        while let path = walker.nextObject() as? String {
            let attributes = walker.fileAttributes
            guard isPlain(path), types[kind(path)] != nil, attributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            total += (attributes?[.size] as? NSNumber)?.intValue ?? 0
            // Checked before the file is read.
            guard total <= maximumBytes, contents.count <= maximumFiles else { break }
            guard let data = FileManager.default.contents(atPath: "\(directory)/\(path)") else {
                throw Problem("\(path) cannot be read")
            }
            contents[path] = Array(data)
        }
        guard total <= maximumBytes else { throw Problem("the files have more than \(maximumBytes / 1024 / 1024) MB together") }
        return try WebFolder(contents)
    }

    private static func isPlain(_ path: String) -> Bool {
        path.split(separator: "/").allSatisfy { part in
            !part.hasPrefix(".")
                && part.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2D, 0x2E, 0x5F].contains(byte)
                }
        }
    }
}
