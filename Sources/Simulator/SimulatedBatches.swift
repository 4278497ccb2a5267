import NIOCore
import RouterCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files and batches of the simulated vendor, in memory. A batch makes progress each time that it is asked about; its answers are those
/// of the simulated models, and each is one row of the record.
final class SimulatedBatches: Sendable {
    struct File: Sendable {
        var id: String
        var key: String
        var name: String
        var purpose: String
        var contents: ByteBuffer
        var createdAt: Int64

        var json: JSONValue {
            [
                "id": .string(id), "object": "file", "bytes": .integer(contents.readableBytes), "created_at": .integer(createdAt),
                "filename": .string(name), "purpose": .string(purpose), "status": "processed",
            ]
        }
    }

    struct Batch: Sendable {
        var id: String
        var key: String
        var endpoint: String
        var inputFile: String
        var metadata: JSONValue
        var controls: Controls
        var total = 0
        /// Questions that have been asked since its creation.
        var polls = 0
        var status = "validating"
        var output: String?
        var errors: String?
        var completed = 0
        var failed = 0
        var createdAt: Int64

        var json: JSONValue {
            [
                "id": .string(id), "object": "batch", "endpoint": .string(endpoint), "errors": .null, "input_file_id": .string(inputFile),
                "completion_window": "24h", "status": .string(status), "output_file_id": .optional(output),
                "error_file_id": .optional(errors), "created_at": .integer(createdAt), "expires_at": .integer(createdAt + 86_400),
                "request_counts": ["total": .integer(total), "completed": .integer(completed), "failed": .integer(failed)],
                "metadata": metadata,
            ]
        }
    }

    private struct State {
        var files: [String: File] = [:]
        /// In the order of their creation.
        var batches: [Batch] = []
        var number = 0
    }
    private let state = Mutex(State())

    func clear() { state.withLock { $0 = State() } }

    // MARK: Files

    func add(file contents: ByteBuffer, name: String, purpose: String, key: String) -> File {
        state.withLock { Self.add(contents, name, purpose, key, &$0) }
    }

    private static func add(_ contents: ByteBuffer, _ name: String, _ purpose: String, _ key: String, _ state: inout State) -> File {
        state.number += 1
        let file = File(
            id: "file-sim\(state.number)-\(UInt32.random(in: 0 ... .max))", key: key, name: name, purpose: purpose, contents: contents,
            createdAt: Int64(time(nil)))
        state.files[file.id] = file
        return file
    }

    /// Objects belong to the account of a key.
    func file(_ id: String, key: String) -> File? { state.withLock { $0.files[id].flatMap { $0.key == key ? $0 : nil } } }

    func remove(file id: String, key: String) -> Bool {
        state.withLock { state in
            guard state.files[id]?.key == key else { return false }
            state.files[id] = nil
            return true
        }
    }

    // MARK: Batches

    func add(_ request: JSONValue, controls: Controls, key: String) -> Batch? {
        state.withLock { state in
            guard let input = request["input_file_id"]?.stringValue, let file = state.files[input], file.key == key,
                let endpoint = request["endpoint"]?.stringValue
            else { return nil }
            state.number += 1
            var batch = Batch(
                id: "batch_sim\(state.number)-\(UInt32.random(in: 0 ... .max))", key: key, endpoint: endpoint, inputFile: input,
                metadata: request["metadata"] ?? .null, controls: controls, createdAt: Int64(time(nil)))
            batch.total = Self.lines(file.contents).count
            state.batches.append(batch)
            return batch
        }
    }

    func batches(key: String) -> [Batch] { state.withLock { $0.batches.filter { $0.key == key }.reversed() } }

    /// The batch after one more question about it.
    /// - Parameter work: does the lines that are done, when it ends: output and errors.
    func ask(
        _ id: String, key: String, cancel: Bool = false, _ work: (Batch, [ByteBuffer]) -> (output: [String], errors: [String])
    ) -> Batch? {
        state.withLock { state in
            guard let index = state.batches.firstIndex(where: { $0.id == id && $0.key == key }) else { return nil }
            var batch = state.batches[index]
            if ["completed", "failed", "expired", "cancelled"].contains(batch.status) { return batch }
            if cancel {
                batch.status = "cancelling"
            } else {
                batch.polls += 1
                if batch.status == "cancelling" {
                    batch.status = "cancelled"
                } else if batch.polls >= batch.controls.number("polls") ?? 1 {
                    batch.status = batch.controls.text("batch_ends") ?? "completed"
                } else {
                    batch.status = "in_progress"
                }
            }
            if ["completed", "expired", "cancelled"].contains(batch.status), let file = state.files[batch.inputFile] {
                let result = work(batch, Self.lines(file.contents))
                batch.completed = result.output.count
                batch.failed = result.errors.count
                if !result.output.isEmpty {
                    batch.output = Self.add(Self.file(result.output), "\(id)_output.jsonl", "batch_output", key, &state).id
                }
                if !result.errors.isEmpty {
                    batch.errors = Self.add(Self.file(result.errors), "\(id)_error.jsonl", "batch_output", key, &state).id
                }
            }
            state.batches[index] = batch
            return batch
        }
    }

    private static func file(_ lines: [String]) -> ByteBuffer { ByteBuffer(string: lines.map { $0 + "\n" }.joined()) }

    private static func lines(_ contents: ByteBuffer) -> [ByteBuffer] {
        var splitter = LineSplitter(maximum: 1 << 30)
        splitter.push(contents)
        var lines: [ByteBuffer] = []
        while let line = splitter.next() { if line.readableBytes > 0 { lines.append(line) } }
        if let line = splitter.last() { lines.append(line) }
        return lines
    }
}
