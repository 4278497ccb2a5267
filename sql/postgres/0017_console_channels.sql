-- Channels and providers that are made in the console, and what is sealed of them. docs/console-channels.md
CREATE TABLE console_channels (
    id         BIGINT  PRIMARY KEY CHECK (id > 0),
    -- JSON: the keys of an entry of channels.yaml, without `keys`, `proxy` and the values of `headers`.
    config     TEXT    NOT NULL,
    -- Those: JSON, sealed with the gateways' secret and the row's identity; NULL = none.
    sealed     BYTEA,
    -- One more with each change, so that of two changes of one state the second is refused.
    version    BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE TABLE console_providers (
    name       TEXT    PRIMARY KEY,
    -- JSON: the keys of a provider file.
    config     TEXT    NOT NULL,
    sealed     BYTEA,
    version    BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
-- Values of `${NAME}` in the keys of channels.yaml.
CREATE TABLE console_secrets (
    name       TEXT    PRIMARY KEY,
    config     TEXT    NOT NULL,
    sealed     BYTEA   NOT NULL,
    version    BIGINT  NOT NULL,
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);

CREATE FUNCTION announce_console() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM announce('channels', TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER console_channels_announced AFTER INSERT OR UPDATE OR DELETE ON console_channels
    FOR EACH STATEMENT EXECUTE FUNCTION announce_console();
CREATE TRIGGER console_providers_announced AFTER INSERT OR UPDATE OR DELETE ON console_providers
    FOR EACH STATEMENT EXECUTE FUNCTION announce_console();
CREATE TRIGGER console_secrets_announced AFTER INSERT OR UPDATE OR DELETE ON console_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION announce_console();
