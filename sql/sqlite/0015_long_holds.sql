-- Holds that last for days: of work that a vendor does behind the answer (batches, background responses). The amount leaves the balance by
-- an ordinary row when the hold opens (`<request id>:held`) and comes back when it ends (`<request id>:released`), in one transaction with
-- the charge. docs/decisions/0014-long-lived-holds.md
CREATE TABLE long_holds (
    request_id             TEXT    PRIMARY KEY,
    -- The kind of work: 'batch', 'response'.
    kind                   TEXT    NOT NULL,
    user_id                INTEGER NOT NULL,
    token_id               INTEGER,
    channel_id             INTEGER NOT NULL,
    -- Which of the channel's keys made the object: a mark of the key, not the key.
    key_mark               TEXT    NOT NULL,
    provider               TEXT    NOT NULL,
    model_name             TEXT    NOT NULL,
    upstream_model         TEXT    NOT NULL,
    endpoint               TEXT    NOT NULL,
    -- The vendor's id of the object; NULL until its answer is known.
    object_id              TEXT,
    amount_nanos           INTEGER NOT NULL CHECK (amount_nanos >= 0),
    ceiling_nanos          INTEGER,
    price_ratio_millionths INTEGER NOT NULL,
    pricing_version        INTEGER NOT NULL,
    -- JSON: what its owner needs to settle it.
    detail                 TEXT    NOT NULL,
    client_ip              TEXT    NOT NULL,
    -- 'ended' = charged or void, as the row of logs says.
    state                  TEXT    NOT NULL CHECK (state IN ('open', 'ended')),
    tries                  INTEGER NOT NULL DEFAULT 0,
    -- Unix seconds: when its owner looks at it next; after the deadline it is settled by what is known.
    next_at                INTEGER NOT NULL,
    deadline               INTEGER NOT NULL,
    note                   TEXT    NOT NULL DEFAULT '',
    created_at             INTEGER NOT NULL,
    ended_at               INTEGER
) STRICT;
CREATE INDEX long_holds_due ON long_holds (state, kind, next_at);
CREATE INDEX long_holds_by_user ON long_holds (user_id, state);
-- Two holds of one object would charge it twice.
CREATE UNIQUE INDEX long_holds_object ON long_holds (kind, channel_id, object_id);

-- Files and batches at vendors, each with the user who made it and the channel and key that hold it.
CREATE TABLE vendor_objects (
    number         INTEGER PRIMARY KEY,
    -- 'file', 'batch'
    kind           TEXT    NOT NULL CHECK (kind IN ('file', 'batch')),
    -- The vendor's own, which clients use as well.
    id             TEXT    NOT NULL,
    user_id        INTEGER NOT NULL,
    channel_id     INTEGER NOT NULL,
    key_mark       TEXT    NOT NULL,
    provider       TEXT    NOT NULL,
    model_name     TEXT    NOT NULL,
    upstream_model TEXT    NOT NULL,
    endpoint       TEXT    NOT NULL,
    -- 'batch', 'batch_output'; empty for a batch.
    purpose        TEXT    NOT NULL,
    -- The hold of a batch, also for the files that it made.
    request_id     TEXT,
    -- JSON: what the vendor said last, as clients see it.
    object         TEXT    NOT NULL,
    -- JSON: of an input file, what its lines may consume.
    detail         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX vendor_objects_by_user ON vendor_objects (user_id, kind, number);
