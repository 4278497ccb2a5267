/// Smooth weighted round robin for the channels of one model: each has a place on a common course, advances by 1/weight with each request,
/// and who is furthest behind comes first.
struct RoundRobin: Sendable {
    private var course: Int128 = 0
    private var passes: [Int64: Int128] = [:]

    private static let stride: Int128 = 1 << 32

    /// Lower comes first.
    func pass(_ channelID: Int64) -> Int128 { max(passes[channelID] ?? 0, course) }

    mutating func served(_ channelID: Int64, weight: UInt32) {
        guard weight > 0 else { return }
        // A member that was away or is new joins where the others are, instead of catching up with all that it missed.
        let place = pass(channelID)
        course = place
        passes[channelID] = place + Self.stride / Int128(weight)
    }
}
