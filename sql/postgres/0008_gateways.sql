-- Which gateways there are, and which life of a gateway has which lease. A lease belongs to one start of one gateway (an incarnation of 128
-- random bits), so that a copy of a gateway's folder cannot spend it. Gateways of one database are to be upgraded together.
CREATE TABLE gateways (
    incarnation TEXT    PRIMARY KEY,
    -- The same over restarts.
    gateway_id  TEXT    NOT NULL,
    -- Raised with every sign of life; only that it changes means something.
    beats       BIGINT  NOT NULL DEFAULT 0,
    -- A later life has the gateway's identity.
    is_fenced   BOOLEAN NOT NULL DEFAULT FALSE,
    -- Seconds without a sign of life after which others may take the leases back, by their own clocks.
    lifetime    BIGINT  NOT NULL,
    -- Unix seconds of this server; for people only.
    started_at  BIGINT  NOT NULL,
    seen_at     BIGINT  NOT NULL
);
CREATE INDEX gateways_by_id ON gateways (gateway_id);

-- Where the lock of an identity is held. Not logged on purpose: a crash of the server or another server in its place empties it, and then
-- nobody takes a lock that is free for a proof that its holder is gone.
CREATE UNLOGGED TABLE gateway_sessions (
    incarnation   TEXT    PRIMARY KEY,
    -- When the server was started and the session was opened, seconds since 1970.
    server_start  TEXT    NOT NULL,
    backend_pid   INTEGER NOT NULL,
    backend_start TEXT    NOT NULL
);

ALTER TABLE balance_leases RENAME TO old_leases;
CREATE TABLE balance_leases (
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    incarnation  TEXT   NOT NULL,
    amount_nanos BIGINT NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (user_id, incarnation)
);
CREATE INDEX balance_leases_by_incarnation ON balance_leases (incarnation);

-- Leases of before: nobody goes on with them, and they come back after the usual silence.
INSERT INTO gateways (incarnation, gateway_id, is_fenced, lifetime, started_at, seen_at)
SELECT DISTINCT gateway_id || ':' || epoch, gateway_id, TRUE, 120, 0, 0 FROM old_leases;
INSERT INTO balance_leases (user_id, incarnation, amount_nanos)
SELECT user_id, gateway_id || ':' || epoch, amount_nanos FROM old_leases;
DROP TABLE old_leases;

-- A new management token ends what gateways remember of unknown ones.
CREATE FUNCTION announce_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM announce(TG_TABLE_NAME, 'new');
    RETURN NULL;
END $$;
CREATE TRIGGER access_tokens_announced AFTER INSERT ON access_tokens FOR EACH STATEMENT EXECUTE FUNCTION announce_tokens();
