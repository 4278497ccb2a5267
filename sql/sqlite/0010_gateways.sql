-- Which life of the gateway has which lease (sql/postgres, gateways). SQLite has one gateway at a time.
CREATE TABLE gateways (
    incarnation TEXT    PRIMARY KEY,
    gateway_id  TEXT    NOT NULL,
    beats       INTEGER NOT NULL DEFAULT 0,
    is_fenced   INTEGER NOT NULL DEFAULT 0,
    lifetime    INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE new_leases (
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    incarnation  TEXT    NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos >= 0),
    PRIMARY KEY (user_id, incarnation)
) STRICT;
INSERT INTO gateways (incarnation, gateway_id, lifetime, started_at, seen_at)
SELECT DISTINCT gateway_id || ':' || epoch, gateway_id, 120, 0, 0 FROM balance_leases;
INSERT INTO new_leases (user_id, incarnation, amount_nanos)
SELECT user_id, gateway_id || ':' || epoch, amount_nanos FROM balance_leases;
DROP TABLE balance_leases;
ALTER TABLE new_leases RENAME TO balance_leases;
