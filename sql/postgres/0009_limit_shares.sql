-- How several gateways divide the limits (requests and tokens per minute, concurrency) of keys and users. The row with an empty subject is a gateway's
-- sign of life; the one with an empty gateway says how much of the buckets is nobody's. Not logged on purpose: after a crash of the server
-- everybody tells it again within seconds.
CREATE UNLOGGED TABLE limit_shares (
    -- key:12, user:5
    subject           TEXT   NOT NULL,
    gateway           TEXT   NOT NULL,
    -- What was asked for lately, per minute or at once.
    asked_rpm         BIGINT,
    asked_tpm         BIGINT,
    asked_concurrency BIGINT,
    -- What the gateway may use.
    taken_rpm         BIGINT,
    taken_tpm         BIGINT,
    taken_concurrency BIGINT,
    -- Seconds of this server's clock.
    expires_at        BIGINT NOT NULL,
    PRIMARY KEY (subject, gateway)
);
