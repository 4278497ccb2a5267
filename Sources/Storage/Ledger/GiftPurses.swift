import RouterCore

/// The gifts of the accounts of a posting, while it goes on. Accounts that have none cost nothing: their row says so.
struct GiftPurses {
    private var purses: [Int64: Gifts] = [:]
    /// When the last request began that was paid for by an account's gifts.
    private var times: [Int64: Int64] = [:]

    /// Reads the gifts of accounts whose `users.gift_nanos` is not 0, inside a transaction that has locked them.
    mutating func open(_ accounts: [Int64], _ session: some SQLSession) throws {
        guard !accounts.isEmpty else { return }
        let list = accounts.map(String.init).joined(separator: ",")
        let isListed =
            session.dialect == .postgres
            ? "account_id = ANY(CAST(?1 AS BIGINT[]))" : "account_id IN (SELECT value FROM json_each(?1))"
        let rows = try session.rows(
            "SELECT id, account_id, left_nanos, expires_at FROM credits WHERE \(isListed) AND state = 'open'",
            [session.dialect == .postgres ? "{\(list)}" : "[\(list)]"])
        var found: [Int64: [Gifts.Gift]] = [:]
        for row in rows {
            found[try row.int("account_id"), default: []].append(
                Gifts.Gift(
                    id: try row.int("id"), left: NanoUSD(nanos: try row.int("left_nanos")), expiresAt: try row.intOrNil("expires_at")))
        }
        for (account, gifts) in found { purses[account] = Gifts(gifts) }
    }

    /// - Parameter time: when the request began, in Unix seconds.
    /// - Returns: the part of a charge that the account's gifts pay; nil = none.
    mutating func pay(_ charge: NanoUSD, of account: Int64, at time: Int64) -> NanoUSD? {
        guard let part = purses[account]?.pay(charge), part.isPositive else { return nil }
        times[account] = max(times[account] ?? time, time)
        return part
    }

    /// Writes what has changed.
    func write(_ session: some SQLSession) throws {
        guard !times.isEmpty else { return }
        if session.dialect == .postgres { return try writeAtOnce(session) }
        for (account, time) in times {
            guard let gifts = purses[account] else { continue }
            for gift in gifts.changed {
                try session.execute(
                    "UPDATE credits SET left_nanos = ?1, state = ?2, ended_at = ?3 WHERE id = ?4",
                    [gift.left.nanos, Self.state(gift).rawValue, gift.left == .zero ? time : nil, gift.id])
            }
            try session.execute("UPDATE users SET gift_nanos = ?1 WHERE id = ?2", [gifts.left.nanos, account])
        }
    }

    /// Two round trips, however many accounts there are.
    private func writeAtOnce(_ session: some SQLSession) throws {
        var changed: [String] = []
        var sums: [String] = []
        for (account, time) in times {
            guard let gifts = purses[account] else { continue }
            changed += gifts.changed.map { gift in
                let end = gift.left == .zero ? "\(time)" : "null"
                return "{\"i\":\(gift.id),\"n\":\(gift.left.nanos),\"s\":\"\(Self.state(gift).rawValue)\",\"t\":\(end)}"
            }
            sums.append("{\"i\":\(account),\"n\":\(gifts.left.nanos)}")
        }
        try session.execute(
            """
            UPDATE credits SET left_nanos = r.n, state = r.s, ended_at = r.t
            FROM jsonb_to_recordset(CAST(?1 AS JSONB)) AS r(i bigint, n bigint, s text, t bigint) WHERE credits.id = r.i
            """, ["[" + changed.joined(separator: ",") + "]"])
        try session.execute(
            "UPDATE users SET gift_nanos = r.n FROM jsonb_to_recordset(CAST(?1 AS JSONB)) AS r(i bigint, n bigint) WHERE users.id = r.i",
            ["[" + sums.joined(separator: ",") + "]"])
    }

    private static func state(_ gift: Gifts.Gift) -> Credit.State { gift.left == .zero ? .spent : .open }
}
