-- Channels and providers that are made in the console, and what is sealed of them. docs/console-channels.md
CREATE TABLE console_channels (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    -- JSON: the keys of an entry of channels.yaml, without `keys`, `proxy` and the values of `headers`.
    config     TEXT    NOT NULL,
    -- Those: JSON, sealed with the gateways' secret and the row's identity; NULL = none.
    sealed     BLOB,
    -- One more with each change, so that of two changes of one state the second is refused.
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE console_providers (
    name       TEXT    PRIMARY KEY,
    -- JSON: the keys of a provider file.
    config     TEXT    NOT NULL,
    sealed     BLOB,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
-- Values of `${NAME}` in the keys of channels.yaml.
CREATE TABLE console_secrets (
    name       TEXT    PRIMARY KEY,
    config     TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
