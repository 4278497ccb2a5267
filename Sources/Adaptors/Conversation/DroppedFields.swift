import RouterCore

/// The parts of a request that a conversion leaves out because they only steer the upkeep of the vendor that the client has in mind:
/// fields that do not change the meaning of an answer, and tools that only that vendor can run. The client is told their names.
final class DroppedFields {
    /// False where the operator wants a refusal instead (`routing.conversion: strict`).
    let isLenient: Bool
    /// In the order of the request, each once.
    private(set) var names: [String] = []

    /// More are not told.
    private static let maximum = 32

    init(isLenient: Bool) { self.isLenient = isLenient }

    /// - Parameter name: of a field, with the names around it; fit for a header when this has taken what is not.
    func add(_ name: String) {
        let plain = name.unicodeScalars.prefix(256).filter {
            $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "_-.:".unicodeScalars.contains($0))
        }
        let label = String(String.UnicodeScalarView(plain.prefix(96)))
        guard names.count < Self.maximum, !label.isEmpty, !names.contains(label) else { return }
        names.append(label)
    }
}

extension Fields {
    /// Leaves a member out, unless it says nothing or the conversion is strict; what stays is refused by ``done()``.
    /// - Parameter place: the object around it as the client is told it; empty = the top level.
    mutating func drop(_ names: String..., in place: String = "", noting dropped: DroppedFields) {
        guard dropped.isLenient else { return }
        for name in names {
            guard let value = take(name), value != .array([]), value != .object([]) else { continue }
            dropped.add(place.isEmpty ? name : "\(place).\(name)")
        }
    }
}
