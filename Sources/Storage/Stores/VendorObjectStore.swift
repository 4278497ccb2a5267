/// The owners of files and batches at vendors, and the channels and keys that hold them.
public protocol VendorObjectStore: Sendable {
    /// Adds an object, or does nothing when this user has it already.
    /// - Throws: ``StoreError/duplicate(_:)`` (`id`) when the id is another user's, or another channel's.
    func addVendorObject(_ object: VendorObject) async throws
    func vendorObject(_ kind: VendorObject.Kind, id: String, userID: Int64) async throws -> VendorObject?
    /// Newest first.
    /// - Parameters:
    ///   - purpose: nil = all.
    ///   - after: the id of the last one of the page before.
    func vendorObjects(
        _ kind: VendorObject.Kind, userID: Int64, purpose: String?, after: String?, limit: Int, isAscending: Bool
    ) async throws -> [VendorObject]
    func countVendorObjects(_ kind: VendorObject.Kind, userID: Int64) async throws -> Int64
    /// Notes what the vendor said last.
    func setVendorObject(_ kind: VendorObject.Kind, id: String, object: String) async throws
    func removeVendorObject(_ kind: VendorObject.Kind, id: String) async throws
}
