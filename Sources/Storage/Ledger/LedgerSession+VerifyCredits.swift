import RouterCore

extension LedgerSession {
    /// Gifts: what was granted is what requests have used, what was taken back and what is left, by account and by gift; codes: each that
    /// was redeemed has its row.
    func verifyCredits(_ report: inout LedgerReport) throws {
        try verifyGiftSums(&report)
        try verifyGiftRows(&report)
        try verifyCodes(&report)
    }

    private func verifyGiftSums(_ report: inout LedgerReport) throws {
        let wrong = try rows(
            """
            SELECT u.id, u.gift_nanos AS kept, CAST(coalesce(c.left_nanos, 0) AS BIGINT) AS gifts,
                CAST(coalesce(c.spent_nanos, 0) AS BIGINT) AS spent, CAST(coalesce(t.paid_nanos, 0) AS BIGINT) AS paid
            FROM users u
            LEFT JOIN (SELECT account_id, sum(left_nanos) AS left_nanos, sum(amount_nanos - left_nanos - expired_nanos) AS spent_nanos
                FROM credits GROUP BY account_id) AS c ON c.account_id = u.id
            LEFT JOIN (SELECT \(Columns.payer("b")) AS payer, sum(b.gift_nanos) AS paid_nanos
                FROM balance_transactions b WHERE b.gift_nanos IS NOT NULL GROUP BY 1) AS t ON t.payer = u.id
            WHERE u.gift_nanos <> coalesce(c.left_nanos, 0) OR coalesce(c.spent_nanos, 0) <> coalesce(t.paid_nanos, 0)
            ORDER BY u.id LIMIT \(Self.most)
            """)
        for row in wrong {
            func amount(_ column: String) throws -> NanoUSD { NanoUSD(nanos: try row.int(column)) }
            report.differences.append(
                """
                gifts of user \(try row.int("id")): \(try amount("gifts")) are left, the account says \(try amount("kept")); \
                \(try amount("spent")) are spent, the rows say \(try amount("paid"))
                """)
        }
    }

    private func verifyGiftRows(_ report: inout LedgerReport) throws {
        let wrong = try rows(
            """
            SELECT c.id, c.state FROM credits c WHERE NOT EXISTS (SELECT 1 FROM balance_transactions t WHERE t.type = 'recharge'
                AND t.reference_id = c.reference AND \(Columns.payer("t")) = c.account_id AND t.amount_nanos = c.amount_nanos
                AND t.source = 'gift')
            OR (c.state = 'expired') <> (c.expired_nanos > 0)
            OR (c.state = 'expired') <> EXISTS (SELECT 1 FROM balance_transactions t WHERE t.type = 'adjustment'
                AND t.reference_id = 'gift:' || c.id || ':expired' AND \(Columns.payer("t")) = c.account_id
                AND t.amount_nanos = -c.expired_nanos)
            ORDER BY c.id LIMIT \(Self.most)
            """)
        for row in wrong {
            report.differences.append("gift \(try row.int("id")): it is \(try row.text("state")), and its rows in the ledger do not say so")
        }
        let lost = try rows(
            """
            SELECT t.id FROM balance_transactions t WHERE t.type = 'recharge' AND t.source = 'gift'
            AND NOT EXISTS (SELECT 1 FROM credits c WHERE c.reference = t.reference_id) ORDER BY t.id LIMIT \(Self.most)
            """)
        for row in lost { report.differences.append("entry \(try row.int("id")): it has brought a gift that is not there") }
    }

    private func verifyCodes(_ report: inout LedgerReport) throws {
        let wrong = try rows(
            """
            SELECT c.id FROM redemption_codes c JOIN redemption_batches b ON b.id = c.batch_id
            WHERE (c.redeemed_at IS NOT NULL) <> EXISTS (SELECT 1 FROM balance_transactions t WHERE t.type = 'recharge'
                AND t.reference_id = 'code:' || c.id AND \(Columns.payer("t")) = c.account_id AND t.amount_nanos = b.amount_nanos)
            ORDER BY c.id LIMIT \(Self.most)
            """)
        for row in wrong {
            report.differences.append("code \(try row.int("id")): its row in the ledger does not say what has become of it")
        }
        let counts = try rows(
            """
            SELECT b.id, b.redeemed FROM redemption_batches b WHERE b.redeemed <>
                (SELECT count(*) FROM redemption_codes c WHERE c.batch_id = b.id AND c.redeemed_at IS NOT NULL)
            ORDER BY b.id LIMIT \(Self.most)
            """)
        for row in counts {
            report.differences.append(
                "codes of batch \(try row.int("id")): it says that \(try row.int("redeemed")) are redeemed, and they do not")
        }
    }
}
