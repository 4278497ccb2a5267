-- Budgets of users, spending by window, estimates that wait for the vendor's figures.
ALTER TABLE users ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';

-- What was charged to a key or a user in a window. Moved by the posting statements only.
CREATE TABLE budget_usage (
    -- 'key:<id>' or 'user:<id>'
    subject     TEXT    NOT NULL,
    -- 0 = since ever, 202611 = a month, 20261125 = a day (UTC, by the time the request began)
    window      INTEGER NOT NULL,
    spent_nanos INTEGER NOT NULL,
    PRIMARY KEY (subject, window)
) STRICT, WITHOUT ROWID;
INSERT INTO budget_usage (subject, window, spent_nanos)
SELECT subject, window, sum(charge_nanos) FROM (
    SELECT 'user:' || user_id AS subject, 0 AS window, charge_nanos FROM logs WHERE charge_nanos IS NOT NULL
    UNION ALL
    SELECT 'user:' || user_id, CAST(strftime('%Y%m', created_at, 'unixepoch') AS INTEGER), charge_nanos FROM logs WHERE charge_nanos IS NOT NULL
    UNION ALL
    SELECT 'user:' || user_id, CAST(strftime('%Y%m%d', created_at, 'unixepoch') AS INTEGER), charge_nanos FROM logs WHERE charge_nanos IS NOT NULL
    UNION ALL
    SELECT 'key:' || token_id, 0, charge_nanos FROM logs WHERE charge_nanos IS NOT NULL AND token_id IS NOT NULL
    UNION ALL
    SELECT 'key:' || token_id, CAST(strftime('%Y%m', created_at, 'unixepoch') AS INTEGER), charge_nanos FROM logs
        WHERE charge_nanos IS NOT NULL AND token_id IS NOT NULL
    UNION ALL
    SELECT 'key:' || token_id, CAST(strftime('%Y%m%d', created_at, 'unixepoch') AS INTEGER), charge_nanos FROM logs
        WHERE charge_nanos IS NOT NULL AND token_id IS NOT NULL
) GROUP BY subject, window;

-- Requests that were charged by our own count. 'pending' ones are looked up at their vendor; 'unresolved' ones cannot be (or were not
-- found); 'resolved' ones were corrected by an adjustment row, or found right.
CREATE TABLE reconciliations (
    request_id    TEXT    PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    channel_id    INTEGER,
    provider      TEXT    NOT NULL,
    model_name    TEXT    NOT NULL,
    generation_id TEXT,
    charge_nanos  INTEGER NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'unresolved', 'resolved')),
    tries         INTEGER NOT NULL DEFAULT 0,
    -- Unix seconds; meaningful while pending.
    next_at       INTEGER NOT NULL,
    note          TEXT    NOT NULL DEFAULT '',
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reconciliations_open ON reconciliations (state, next_at);
