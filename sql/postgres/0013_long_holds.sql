-- Holds that last for days: of work that a vendor does behind the answer (batches, background responses). The amount leaves the balance by
-- an ordinary row when the hold opens (`<request id>:held`) and comes back when it ends (`<request id>:released`), in one transaction with
-- the charge. docs/decisions/0014-long-lived-holds.md
CREATE TABLE long_holds (
    request_id             TEXT    PRIMARY KEY,
    -- Whose work it is: 'batch', 'response'.
    kind                   TEXT    NOT NULL,
    user_id                BIGINT NOT NULL,
    token_id               BIGINT,
    channel_id             BIGINT NOT NULL,
    -- Which of the channel's keys made the object: a mark of the key, not the key.
    key_mark               TEXT    NOT NULL,
    provider               TEXT    NOT NULL,
    model_name             TEXT    NOT NULL,
    upstream_model         TEXT    NOT NULL,
    endpoint               TEXT    NOT NULL,
    -- The vendor's id of the object; NULL until its answer is known.
    object_id              TEXT,
    amount_nanos           BIGINT NOT NULL CHECK (amount_nanos >= 0),
    ceiling_nanos          BIGINT,
    price_ratio_millionths BIGINT NOT NULL,
    pricing_version        BIGINT NOT NULL,
    -- JSON: what its owner needs to settle it.
    detail                 TEXT    NOT NULL,
    client_ip              TEXT    NOT NULL,
    -- 'ended' = charged or void, as the row of logs says.
    state                  TEXT    NOT NULL CHECK (state IN ('open', 'ended')),
    tries                  BIGINT NOT NULL DEFAULT 0,
    -- Unix seconds: when its owner looks at it next; after the deadline it is settled by what is known.
    next_at                BIGINT NOT NULL,
    deadline               BIGINT NOT NULL,
    note                   TEXT    NOT NULL DEFAULT '',
    created_at             BIGINT NOT NULL,
    ended_at               BIGINT
);
CREATE INDEX long_holds_due ON long_holds (state, kind, next_at);
CREATE INDEX long_holds_by_user ON long_holds (user_id, state);
-- Two holds of one object would charge it twice.
CREATE UNIQUE INDEX long_holds_object ON long_holds (kind, channel_id, object_id);
