-- Responses and conversations that users can refer to later (docs/responses.md): items and answers, or only the place where a vendor keeps
-- them. All of it expires, and none of it is about money. On SQLite they are in a file of their own (Sources/Storage/SQLiteResponses.swift).
CREATE TABLE responses (
    user_id         BIGINT NOT NULL,
    id              TEXT   NOT NULL,
    -- 1 = response, 2 = conversation
    kind            BIGINT NOT NULL,
    holder          TEXT   NOT NULL,
    model           TEXT   NOT NULL,
    upstream_model  TEXT   NOT NULL,
    channel_id      BIGINT NOT NULL,
    key_fingerprint TEXT   NOT NULL,
    context_tokens  BIGINT NOT NULL,
    items           BYTEA  NOT NULL,
    body            BYTEA  NOT NULL,
    bytes           BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX responses_by_expiry ON responses (expires_at);

-- Bytes by user; user 0 is all of them.
CREATE TABLE response_usage (
    user_id BIGINT NOT NULL PRIMARY KEY,
    bytes   BIGINT NOT NULL
);
