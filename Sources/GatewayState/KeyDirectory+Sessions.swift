/// Sessions that are open for model calls (the console's playground), in memory only: each stands for its user, without a key. They are
/// kept apart from the keys, so that a session's token is never taken for an API key.
struct OpenSessions {
    private struct Entry {
        var userID: Int64
        /// The organisation that pays; nil = the user.
        var accountID: Int64?
        /// Unix seconds.
        var until: Int64
    }
    private var entries: [KeyHash: Entry] = [:]
    static let maximum = 10_000

    /// - Parameter now: Unix seconds.
    mutating func open(_ session: KeyHash, userID: Int64, accountID: Int64?, until: Int64, now: Int64) {
        if entries.count >= Self.maximum {
            entries = entries.filter { $0.value.until > now }
            // A page whose session is forgotten opens it again.
            if entries.count >= Self.maximum { entries = [:] }
        }
        entries[session] = Entry(userID: userID, accountID: accountID, until: until)
    }

    mutating func close(_ session: KeyHash) { entries[session] = nil }

    mutating func close(userID: Int64, except kept: KeyHash? = nil) {
        entries = entries.filter { $0.value.userID != userID || $0.key == kept }
    }

    /// The user of a session that is open, and the organisation that pays.
    func caller(_ session: KeyHash, now: Int64) -> (userID: Int64, accountID: Int64?)? {
        guard let entry = entries[session], entry.until > now else { return nil }
        return (entry.userID, entry.accountID)
    }
}

extension KeyDirectory {
    /// Opens a session, or keeps it open.
    /// - Parameters:
    ///   - session: the hash of its token.
    ///   - accountID: the organisation that is to pay, of which the user is a member; nil = the user pays.
    ///   - until: when it closes by itself (Unix seconds), as `now`.
    package func open(session: KeyHash, userID: Int64, accountID: Int64? = nil, until: Int64, now: Int64) {
        changeSessions { $0.open(session, userID: userID, accountID: accountID, until: until, now: now) }
    }

    package func close(session: KeyHash) { changeSessions { $0.close(session) } }

    /// - Parameter kept: one that stays open.
    package func closeSessions(userID: Int64, except kept: KeyHash?) { changeSessions { $0.close(userID: userID, except: kept) } }
}
