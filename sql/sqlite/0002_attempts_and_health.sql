-- Each upstream call of a request, as JSON; NULL when there was exactly one and it gave the answer.
ALTER TABLE logs ADD COLUMN attempt_list TEXT;

-- Health records now may be about an account, and say how far their cool-down has grown.
DROP TABLE channel_health;
CREATE TABLE channel_health (
    -- 0 = the record is about an account.
    channel_id INTEGER NOT NULL,
    account    TEXT    NOT NULL DEFAULT '',
    -- Place of the key in the channel's list; -1 = the channel has none, -2 = all keys.
    credential INTEGER NOT NULL,
    -- '' = all models.
    model      TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('closed', 'open', 'half_open')),
    kind       TEXT,
    open_until INTEGER,
    failures   INTEGER NOT NULL DEFAULT 0,
    openings   INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (channel_id, account, credential, model)
) STRICT;
