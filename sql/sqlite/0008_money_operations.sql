-- Calls by which an administrator moved money, under the key that the caller gave them (`Idempotency-Key` or `reference_id`): the same key
-- again finds its ledger row by (type, reference_id) or is refused. Keys of all operations share this table, so that none is used twice.
CREATE TABLE money_operations (
    key          TEXT    PRIMARY KEY,
    operation    TEXT    NOT NULL CHECK (operation = 'add' OR operation = 'refund'),
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    amount_nanos INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    reference_id TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- What is in the ledger was posted under its reference; where one was used for both types, the first counts.
INSERT INTO money_operations (key, operation, user_id, amount_nanos, type, reference_id, created_at)
SELECT reference_id, 'add', user_id, amount_nanos, type, reference_id, created_at FROM balance_transactions
WHERE type = 'recharge' OR (type = 'adjustment' AND substr(reference_id, -11) <> ':reconciled')
ORDER BY id ON CONFLICT (key) DO NOTHING;
CREATE TRIGGER money_operations_no_update BEFORE UPDATE ON money_operations
BEGIN SELECT RAISE(ABORT, 'money_operations is append-only'); END;
CREATE TRIGGER money_operations_no_delete BEFORE DELETE ON money_operations
BEGIN SELECT RAISE(ABORT, 'money_operations is append-only'); END;
