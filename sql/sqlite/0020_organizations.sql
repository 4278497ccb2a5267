-- Organisations: wallets that people share. docs/accounts.md
-- An organisation is a row of `users` without a password, so that one id names one wallet in balances, leases, holds and the ledger.
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'organization'));
CREATE INDEX organizations ON users (id) WHERE kind = 'organization';

-- The wallet that pays; NULL = that of `user_id`, who caused it.
ALTER TABLE tokens ADD COLUMN account_id INTEGER REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE logs ADD COLUMN account_id INTEGER;
ALTER TABLE balance_transactions ADD COLUMN account_id INTEGER REFERENCES users (id) ON DELETE RESTRICT;
ALTER TABLE long_holds ADD COLUMN account_id INTEGER;
ALTER TABLE reconciliations ADD COLUMN account_id INTEGER;
-- Where money of a `recharge` or an `adjustment` comes from, where there is more to tell: 'gift', 'code', 'chargeback', …
ALTER TABLE balance_transactions ADD COLUMN source TEXT;

CREATE INDEX tokens_by_account ON tokens (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX logs_by_account ON logs (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX logs_by_member ON logs (account_id, user_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX balance_transactions_by_account ON balance_transactions (account_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX balance_transactions_by_member ON balance_transactions (account_id, user_id, id) WHERE account_id IS NOT NULL;
CREATE INDEX long_holds_by_account ON long_holds (account_id, state) WHERE account_id IS NOT NULL;

CREATE TABLE memberships (
    account_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    -- JSON, as `tokens.limits`: budgets and rates of this member in this organisation.
    limits     TEXT    NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memberships_by_user ON memberships (user_id, account_id);

-- Links by which people join. Each is used once; only a hash of its secret is kept.
CREATE TABLE invitations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       BLOB    NOT NULL UNIQUE,
    role       TEXT    NOT NULL CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    -- For whom it is meant, in the inviter's words.
    note       TEXT    NOT NULL DEFAULT '',
    created_by INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_by    INTEGER,
    used_at    INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX invitations_by_account ON invitations (account_id, id);

-- Usage of organisations by quarter hour, hour and day (UTC), member, key and model.
CREATE TABLE usage_by_account (
    span                INTEGER NOT NULL,
    account_id          INTEGER NOT NULL,
    start               INTEGER NOT NULL,
    user_id             INTEGER NOT NULL,
    token_id            INTEGER NOT NULL,
    model_name          TEXT    NOT NULL,
    requests            INTEGER NOT NULL,
    errors              INTEGER NOT NULL,
    faults              INTEGER NOT NULL,
    void                INTEGER NOT NULL,
    charge_nanos        INTEGER NOT NULL,
    upstream_cost_nanos INTEGER NOT NULL,
    prompt_tokens       INTEGER NOT NULL,
    completion_tokens   INTEGER NOT NULL,
    cached_tokens       INTEGER NOT NULL,
    first_token_ms      INTEGER NOT NULL,
    latency_ms          INTEGER NOT NULL,
    generated_tokens    INTEGER NOT NULL,
    generation_ms       INTEGER NOT NULL,
    uncosted            INTEGER NOT NULL,
    vendor_cost_nanos   INTEGER NOT NULL,
    uncosted_charge_nanos INTEGER NOT NULL,
    first_00 INTEGER, first_01 INTEGER, first_02 INTEGER, first_03 INTEGER, first_04 INTEGER,
    first_05 INTEGER, first_06 INTEGER, first_07 INTEGER, first_08 INTEGER, first_09 INTEGER,
    first_10 INTEGER, first_11 INTEGER, first_12 INTEGER, first_13 INTEGER,
    latency_00 INTEGER, latency_01 INTEGER, latency_02 INTEGER, latency_03 INTEGER, latency_04 INTEGER,
    latency_05 INTEGER, latency_06 INTEGER, latency_07 INTEGER, latency_08 INTEGER, latency_09 INTEGER,
    latency_10 INTEGER, latency_11 INTEGER, latency_12 INTEGER, latency_13 INTEGER,
    PRIMARY KEY (span, account_id, start, user_id, token_id, model_name)
) STRICT, WITHOUT ROWID;
