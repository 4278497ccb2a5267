-- Calls by which an administrator moved money, under the key that the caller gave them (sql/sqlite/0008).
CREATE TABLE money_operations (
    key          TEXT   PRIMARY KEY,
    operation    TEXT   NOT NULL CHECK (operation IN ('add', 'refund')),
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    amount_nanos BIGINT NOT NULL,
    type         TEXT   NOT NULL,
    reference_id TEXT   NOT NULL,
    created_at   BIGINT NOT NULL
);
-- What is in the ledger was posted under its reference; where one was used for both types, the first counts.
INSERT INTO money_operations (key, operation, user_id, amount_nanos, type, reference_id, created_at)
SELECT reference_id, 'add', user_id, amount_nanos, type, reference_id, created_at FROM balance_transactions
WHERE type = 'recharge' OR (type = 'adjustment' AND right(reference_id, 11) <> ':reconciled')
ORDER BY id ON CONFLICT (key) DO NOTHING;
CREATE TRIGGER money_operations_append_only BEFORE UPDATE OR DELETE ON money_operations
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER money_operations_keep BEFORE TRUNCATE ON money_operations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
