-- The first schema. Amounts are nano-dollars (10^-9 USD) in INTEGER columns; prices are exact decimal text in USD per unit.
-- Times are Unix seconds, UTC. Files in this folder are never changed once released; a change is a new file.

CREATE TABLE users (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    username          TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    password_hash     TEXT    NOT NULL,
    display_name      TEXT    NOT NULL DEFAULT '',
    email             TEXT    NOT NULL DEFAULT '',
    role              INTEGER NOT NULL DEFAULT 1 CHECK (role IN (1, 10, 100)),
    status            INTEGER NOT NULL DEFAULT 1 CHECK (status IN (1, 2)),
    "group"           TEXT    NOT NULL DEFAULT 'default',
    access_token_hash BLOB,
    -- Written by the posting statements of the ledger and by nothing else.
    balance_nanos     INTEGER NOT NULL DEFAULT 0,
    -- Whole cents, rounded towards minus infinity.
    quota             INTEGER GENERATED ALWAYS AS (
                          CASE WHEN balance_nanos % 10000000 < 0
                               THEN balance_nanos / 10000000 - 1
                               ELSE balance_nanos / 10000000 END) VIRTUAL,
    created_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE access_tokens (
    hash       BLOB    PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    expires_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX access_tokens_by_user ON access_tokens (user_id);

CREATE TABLE tokens (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_hash    BLOB    NOT NULL UNIQUE,
    key_prefix  TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    status      INTEGER NOT NULL DEFAULT 1 CHECK (status IN (1, 2)),
    expires_at  INTEGER,
    models      TEXT    NOT NULL DEFAULT '[]',
    limits      TEXT    NOT NULL DEFAULT '{}',
    created_at  INTEGER NOT NULL,
    accessed_at INTEGER
) STRICT;
CREATE INDEX tokens_by_user ON tokens (user_id, id);

CREATE TABLE balance_transactions (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id             INTEGER NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    amount_nanos        INTEGER NOT NULL,
    balance_after_nanos INTEGER NOT NULL,
    -- For people who look into the table; the integers above are the truth.
    amount              REAL GENERATED ALWAYS AS (amount_nanos / 1e9) VIRTUAL,
    balance_after       REAL GENERATED ALWAYS AS (balance_after_nanos / 1e9) VIRTUAL,
    type                TEXT    NOT NULL CHECK (type IN ('recharge', 'usage', 'refund', 'adjustment')),
    reference_id        TEXT    NOT NULL,
    description         TEXT    NOT NULL DEFAULT '',
    created_at          INTEGER NOT NULL,
    UNIQUE (type, reference_id)
) STRICT;
CREATE INDEX balance_transactions_by_user ON balance_transactions (user_id, id);
CREATE TRIGGER balance_transactions_no_update BEFORE UPDATE ON balance_transactions
BEGIN SELECT RAISE(ABORT, 'balance_transactions is append-only'); END;
CREATE TRIGGER balance_transactions_no_delete BEFORE DELETE ON balance_transactions
BEGIN SELECT RAISE(ABORT, 'balance_transactions is append-only'); END;

CREATE TABLE model_pricing (
    id                     INTEGER PRIMARY KEY AUTOINCREMENT,
    model_name             TEXT    NOT NULL UNIQUE,
    display_name           TEXT    NOT NULL DEFAULT '',
    provider               TEXT    NOT NULL DEFAULT '',
    description            TEXT    NOT NULL DEFAULT '',
    context_length         INTEGER,
    max_output_tokens      INTEGER,
    basis                  TEXT    NOT NULL DEFAULT 'metered' CHECK (basis IN ('metered', 'upstream_cost')),
    pricing_input          TEXT    NOT NULL,
    pricing_output         TEXT    NOT NULL,
    pricing_cache_read     TEXT,
    pricing_cache_write    TEXT,
    pricing_cache_write_1h TEXT,
    pricing_reasoning      TEXT,
    pricing_audio_input    TEXT,
    pricing_audio_output   TEXT,
    pricing_image          TEXT    NOT NULL DEFAULT '0',
    pricing_request        TEXT    NOT NULL DEFAULT '0',
    pricing_search         TEXT    NOT NULL DEFAULT '0',
    -- JSON: [{"above": tokens, "input": "…", …}]
    tiers                  TEXT    NOT NULL DEFAULT '[]',
    is_active              INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
    is_edited              INTEGER NOT NULL DEFAULT 0 CHECK (is_edited IN (0, 1)),
    version                INTEGER NOT NULL,
    created_at             INTEGER NOT NULL,
    updated_at             INTEGER NOT NULL
) STRICT;
CREATE INDEX model_pricing_by_provider ON model_pricing (provider, model_name);

-- Every version that ever held; a transaction names the one that it used.
CREATE TABLE model_pricing_history (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    model_name TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    -- JSON of the row without its ids and times.
    row        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (model_name, version)
) STRICT;
CREATE TRIGGER model_pricing_history_no_update BEFORE UPDATE ON model_pricing_history
BEGIN SELECT RAISE(ABORT, 'model_pricing_history is append-only'); END;
CREATE TRIGGER model_pricing_history_no_delete BEFORE DELETE ON model_pricing_history
BEGIN SELECT RAISE(ABORT, 'model_pricing_history is append-only'); END;

CREATE TABLE logs (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id            TEXT    NOT NULL UNIQUE,
    user_id               INTEGER NOT NULL,
    token_id              INTEGER,
    channel_id            INTEGER,
    provider              TEXT    NOT NULL,
    model_name            TEXT    NOT NULL,
    upstream_model        TEXT    NOT NULL,
    endpoint              TEXT    NOT NULL,
    prompt_tokens         INTEGER NOT NULL,
    completion_tokens     INTEGER NOT NULL,
    cached_tokens         INTEGER NOT NULL,
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    audio_input_tokens    INTEGER NOT NULL,
    audio_output_tokens   INTEGER NOT NULL,
    images                INTEGER NOT NULL,
    searches              INTEGER NOT NULL,
    requests              INTEGER NOT NULL,
    -- NULL = void: nothing was charged and no ledger row exists. 0 = a free answer with its ledger row.
    charge_nanos          INTEGER,
    cost_nanos            INTEGER GENERATED ALWAYS AS (coalesce(charge_nanos, 0)) VIRTUAL,
    cost                  REAL GENERATED ALWAYS AS (coalesce(charge_nanos, 0) / 1e9) VIRTUAL,
    upstream_cost_nanos   INTEGER,
    usage_source          TEXT    NOT NULL CHECK (usage_source IN ('upstream', 'estimated', 'reconciled')),
    pricing_version       INTEGER NOT NULL,
    outcome               TEXT    NOT NULL,
    status                INTEGER NOT NULL,
    error_code            TEXT,
    is_stream             INTEGER NOT NULL CHECK (is_stream IN (0, 1)),
    attempts              INTEGER NOT NULL,
    generation_id         TEXT,
    latency_ms            INTEGER NOT NULL,
    first_token_ms        INTEGER,
    client_ip             TEXT    NOT NULL,
    created_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX logs_by_user ON logs (user_id, id);
CREATE INDEX logs_by_time ON logs (created_at);

-- Records that could not be posted: set aside with the reason, never dropped, never in the way of the others.
CREATE TABLE poison_records (
    request_id TEXT    PRIMARY KEY,
    reason     TEXT    NOT NULL,
    record     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE channel_health (
    channel_id INTEGER NOT NULL,
    credential INTEGER NOT NULL,
    model      TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    open_until INTEGER,
    failures   INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (channel_id, credential, model)
) STRICT;

CREATE TABLE balance_leases (
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    gateway_id   TEXT    NOT NULL,
    epoch        INTEGER NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0),
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (user_id, gateway_id)
) STRICT;

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    actor_id   INTEGER,
    action     TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    client_ip  TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END;
