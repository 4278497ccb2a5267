-- Sums of the log, kept by whoever writes its rows, in the same transaction. They stay when rows of the log are let go.
-- `start` is in Unix seconds, a multiple of the span; id 0 = none. Times in milliseconds are counted in 28 classes that grow by the square
-- root of two (docs/ledger.md), two in a column: the even one in its low 32 bits, the odd one above. NULL = none in either.
-- `errors` = failed or cut, `faults` = those of them that are no client's fault, `void` = not charged. `latency_ms` is of answers that were
-- charged; `generated_tokens` and `generation_ms` are of streams that came to their end.

-- By quarter hour: what one user has used. The only table with everything in it.
CREATE TABLE usage_by_key (
    user_id             INTEGER NOT NULL,
    start               INTEGER NOT NULL,
    token_id            INTEGER NOT NULL,
    channel_id          INTEGER NOT NULL,
    provider            TEXT    NOT NULL,
    model_name          TEXT    NOT NULL,
    requests            INTEGER NOT NULL,
    errors              INTEGER NOT NULL,
    faults              INTEGER NOT NULL,
    void                INTEGER NOT NULL,
    charge_nanos        INTEGER NOT NULL,
    upstream_cost_nanos INTEGER NOT NULL,
    prompt_tokens       INTEGER NOT NULL,
    completion_tokens   INTEGER NOT NULL,
    cached_tokens       INTEGER NOT NULL,
    first_token_ms      INTEGER NOT NULL,
    latency_ms          INTEGER NOT NULL,
    generated_tokens    INTEGER NOT NULL,
    generation_ms       INTEGER NOT NULL,
    first_00 INTEGER, first_01 INTEGER, first_02 INTEGER, first_03 INTEGER, first_04 INTEGER,
    first_05 INTEGER, first_06 INTEGER, first_07 INTEGER, first_08 INTEGER, first_09 INTEGER,
    first_10 INTEGER, first_11 INTEGER, first_12 INTEGER, first_13 INTEGER,
    latency_00 INTEGER, latency_01 INTEGER, latency_02 INTEGER, latency_03 INTEGER, latency_04 INTEGER,
    latency_05 INTEGER, latency_06 INTEGER, latency_07 INTEGER, latency_08 INTEGER, latency_09 INTEGER,
    latency_10 INTEGER, latency_11 INTEGER, latency_12 INTEGER, latency_13 INTEGER,
    PRIMARY KEY (user_id, start, token_id, channel_id, provider, model_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_by_key_time ON usage_by_key (start);

-- All users together, by quarter hour, hour and day (UTC): the span is 900, 3600 or 86400 seconds.
CREATE TABLE usage_by_channel (
    span                INTEGER NOT NULL,
    start               INTEGER NOT NULL,
    channel_id          INTEGER NOT NULL,
    provider            TEXT    NOT NULL,
    model_name          TEXT    NOT NULL,
    requests            INTEGER NOT NULL,
    errors              INTEGER NOT NULL,
    faults              INTEGER NOT NULL,
    void                INTEGER NOT NULL,
    charge_nanos        INTEGER NOT NULL,
    upstream_cost_nanos INTEGER NOT NULL,
    prompt_tokens       INTEGER NOT NULL,
    completion_tokens   INTEGER NOT NULL,
    cached_tokens       INTEGER NOT NULL,
    first_token_ms      INTEGER NOT NULL,
    latency_ms          INTEGER NOT NULL,
    generated_tokens    INTEGER NOT NULL,
    generation_ms       INTEGER NOT NULL,
    first_00 INTEGER, first_01 INTEGER, first_02 INTEGER, first_03 INTEGER, first_04 INTEGER,
    first_05 INTEGER, first_06 INTEGER, first_07 INTEGER, first_08 INTEGER, first_09 INTEGER,
    first_10 INTEGER, first_11 INTEGER, first_12 INTEGER, first_13 INTEGER,
    latency_00 INTEGER, latency_01 INTEGER, latency_02 INTEGER, latency_03 INTEGER, latency_04 INTEGER,
    latency_05 INTEGER, latency_06 INTEGER, latency_07 INTEGER, latency_08 INTEGER, latency_09 INTEGER,
    latency_10 INTEGER, latency_11 INTEGER, latency_12 INTEGER, latency_13 INTEGER,
    PRIMARY KEY (span, start, channel_id, provider, model_name)
) STRICT, WITHOUT ROWID;

-- Users and their keys, by hour and day (UTC).
CREATE TABLE usage_by_user (
    span                INTEGER NOT NULL,
    start               INTEGER NOT NULL,
    user_id             INTEGER NOT NULL,
    token_id            INTEGER NOT NULL,
    requests            INTEGER NOT NULL,
    errors              INTEGER NOT NULL,
    faults              INTEGER NOT NULL,
    void                INTEGER NOT NULL,
    charge_nanos        INTEGER NOT NULL,
    upstream_cost_nanos INTEGER NOT NULL,
    prompt_tokens       INTEGER NOT NULL,
    completion_tokens   INTEGER NOT NULL,
    cached_tokens       INTEGER NOT NULL,
    first_token_ms      INTEGER NOT NULL,
    latency_ms          INTEGER NOT NULL,
    generated_tokens    INTEGER NOT NULL,
    generation_ms       INTEGER NOT NULL,
    first_00 INTEGER, first_01 INTEGER, first_02 INTEGER, first_03 INTEGER, first_04 INTEGER,
    first_05 INTEGER, first_06 INTEGER, first_07 INTEGER, first_08 INTEGER, first_09 INTEGER,
    first_10 INTEGER, first_11 INTEGER, first_12 INTEGER, first_13 INTEGER,
    latency_00 INTEGER, latency_01 INTEGER, latency_02 INTEGER, latency_03 INTEGER, latency_04 INTEGER,
    latency_05 INTEGER, latency_06 INTEGER, latency_07 INTEGER, latency_08 INTEGER, latency_09 INTEGER,
    latency_10 INTEGER, latency_11 INTEGER, latency_12 INTEGER, latency_13 INTEGER,
    PRIMARY KEY (span, start, user_id, token_id)
) STRICT, WITHOUT ROWID;

-- Between which ids the rows of a quarter hour are, by `created_at`: what leads from times to pages.
CREATE TABLE row_ranges (
    -- 'log' = logs, 'entry' = balance_transactions
    kind     TEXT NOT NULL,
    start    INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id  INTEGER NOT NULL,
    PRIMARY KEY (kind, start)
) STRICT, WITHOUT ROWID;

-- The rows that exist already.
INSERT INTO usage_by_key (user_id, start, token_id, channel_id, provider, model_name,
    requests, errors, faults, void, charge_nanos, upstream_cost_nanos, prompt_tokens,
    completion_tokens, cached_tokens, first_token_ms, latency_ms, generated_tokens, generation_ms,
    first_00, first_01, first_02, first_03, first_04, first_05, first_06, first_07, first_08, first_09,
    first_10, first_11, first_12, first_13, latency_00, latency_01, latency_02, latency_03, latency_04, latency_05,
    latency_06, latency_07, latency_08, latency_09, latency_10, latency_11, latency_12, latency_13)
SELECT user_id, created_at - created_at % 900, coalesce(token_id, 0), coalesce(channel_id, 0), provider, model_name,
    count(*),
    count(*) FILTER (WHERE outcome = 'failed' OR outcome = 'truncated'),
    count(*) FILTER (WHERE outcome = 'truncated' OR (outcome = 'failed' AND (status >= 500 OR status = 429))),
    count(*) - count(charge_nanos),
    coalesce(sum(charge_nanos), 0),
    coalesce(sum(upstream_cost_nanos), 0),
    sum(prompt_tokens),
    sum(completion_tokens),
    sum(cached_tokens),
    coalesce(sum(first_token_ms), 0),
    coalesce(sum(latency_ms) FILTER (WHERE charge_nanos IS NOT NULL AND latency_ms > 0), 0),
    coalesce(sum(completion_tokens) FILTER (WHERE is_stream = 1 AND outcome = 'completed' AND first_token_ms < latency_ms), 0),
    coalesce(sum(latency_ms - first_token_ms) FILTER (WHERE is_stream = 1 AND outcome = 'completed' AND first_token_ms < latency_ms), 0),
    nullif(count(*) FILTER (WHERE first_class = 0) + 4294967296 * count(*) FILTER (WHERE first_class = 1), 0),
    nullif(count(*) FILTER (WHERE first_class = 2) + 4294967296 * count(*) FILTER (WHERE first_class = 3), 0),
    nullif(count(*) FILTER (WHERE first_class = 4) + 4294967296 * count(*) FILTER (WHERE first_class = 5), 0),
    nullif(count(*) FILTER (WHERE first_class = 6) + 4294967296 * count(*) FILTER (WHERE first_class = 7), 0),
    nullif(count(*) FILTER (WHERE first_class = 8) + 4294967296 * count(*) FILTER (WHERE first_class = 9), 0),
    nullif(count(*) FILTER (WHERE first_class = 10) + 4294967296 * count(*) FILTER (WHERE first_class = 11), 0),
    nullif(count(*) FILTER (WHERE first_class = 12) + 4294967296 * count(*) FILTER (WHERE first_class = 13), 0),
    nullif(count(*) FILTER (WHERE first_class = 14) + 4294967296 * count(*) FILTER (WHERE first_class = 15), 0),
    nullif(count(*) FILTER (WHERE first_class = 16) + 4294967296 * count(*) FILTER (WHERE first_class = 17), 0),
    nullif(count(*) FILTER (WHERE first_class = 18) + 4294967296 * count(*) FILTER (WHERE first_class = 19), 0),
    nullif(count(*) FILTER (WHERE first_class = 20) + 4294967296 * count(*) FILTER (WHERE first_class = 21), 0),
    nullif(count(*) FILTER (WHERE first_class = 22) + 4294967296 * count(*) FILTER (WHERE first_class = 23), 0),
    nullif(count(*) FILTER (WHERE first_class = 24) + 4294967296 * count(*) FILTER (WHERE first_class = 25), 0),
    nullif(count(*) FILTER (WHERE first_class = 26) + 4294967296 * count(*) FILTER (WHERE first_class = 27), 0),
    nullif(count(*) FILTER (WHERE latency_class = 0) + 4294967296 * count(*) FILTER (WHERE latency_class = 1), 0),
    nullif(count(*) FILTER (WHERE latency_class = 2) + 4294967296 * count(*) FILTER (WHERE latency_class = 3), 0),
    nullif(count(*) FILTER (WHERE latency_class = 4) + 4294967296 * count(*) FILTER (WHERE latency_class = 5), 0),
    nullif(count(*) FILTER (WHERE latency_class = 6) + 4294967296 * count(*) FILTER (WHERE latency_class = 7), 0),
    nullif(count(*) FILTER (WHERE latency_class = 8) + 4294967296 * count(*) FILTER (WHERE latency_class = 9), 0),
    nullif(count(*) FILTER (WHERE latency_class = 10) + 4294967296 * count(*) FILTER (WHERE latency_class = 11), 0),
    nullif(count(*) FILTER (WHERE latency_class = 12) + 4294967296 * count(*) FILTER (WHERE latency_class = 13), 0),
    nullif(count(*) FILTER (WHERE latency_class = 14) + 4294967296 * count(*) FILTER (WHERE latency_class = 15), 0),
    nullif(count(*) FILTER (WHERE latency_class = 16) + 4294967296 * count(*) FILTER (WHERE latency_class = 17), 0),
    nullif(count(*) FILTER (WHERE latency_class = 18) + 4294967296 * count(*) FILTER (WHERE latency_class = 19), 0),
    nullif(count(*) FILTER (WHERE latency_class = 20) + 4294967296 * count(*) FILTER (WHERE latency_class = 21), 0),
    nullif(count(*) FILTER (WHERE latency_class = 22) + 4294967296 * count(*) FILTER (WHERE latency_class = 23), 0),
    nullif(count(*) FILTER (WHERE latency_class = 24) + 4294967296 * count(*) FILTER (WHERE latency_class = 25), 0),
    nullif(count(*) FILTER (WHERE latency_class = 26) + 4294967296 * count(*) FILTER (WHERE latency_class = 27), 0)
FROM (SELECT *,
    CASE
        WHEN first_token_ms < 32 THEN 0 WHEN first_token_ms < 45 THEN 1 WHEN first_token_ms < 64 THEN 2
        WHEN first_token_ms < 91 THEN 3 WHEN first_token_ms < 128 THEN 4 WHEN first_token_ms < 181 THEN 5
        WHEN first_token_ms < 256 THEN 6 WHEN first_token_ms < 362 THEN 7 WHEN first_token_ms < 512 THEN 8
        WHEN first_token_ms < 724 THEN 9 WHEN first_token_ms < 1024 THEN 10 WHEN first_token_ms < 1448 THEN 11
        WHEN first_token_ms < 2048 THEN 12 WHEN first_token_ms < 2896 THEN 13 WHEN first_token_ms < 4096 THEN 14
        WHEN first_token_ms < 5793 THEN 15 WHEN first_token_ms < 8192 THEN 16 WHEN first_token_ms < 11585 THEN 17
        WHEN first_token_ms < 16384 THEN 18 WHEN first_token_ms < 23170 THEN 19 WHEN first_token_ms < 32768 THEN 20
        WHEN first_token_ms < 46341 THEN 21 WHEN first_token_ms < 65536 THEN 22 WHEN first_token_ms < 92682 THEN 23
        WHEN first_token_ms < 131072 THEN 24 WHEN first_token_ms < 185364 THEN 25 WHEN first_token_ms < 262144 THEN 26
        WHEN first_token_ms >= 262144 THEN 27 END AS first_class,
    CASE
        WHEN charge_nanos IS NULL OR latency_ms <= 0 THEN NULL WHEN latency_ms < 32 THEN 0 WHEN latency_ms < 45 THEN 1
        WHEN latency_ms < 64 THEN 2 WHEN latency_ms < 91 THEN 3 WHEN latency_ms < 128 THEN 4 WHEN latency_ms < 181 THEN 5
        WHEN latency_ms < 256 THEN 6 WHEN latency_ms < 362 THEN 7 WHEN latency_ms < 512 THEN 8 WHEN latency_ms < 724 THEN 9
        WHEN latency_ms < 1024 THEN 10 WHEN latency_ms < 1448 THEN 11 WHEN latency_ms < 2048 THEN 12 WHEN latency_ms < 2896 THEN 13
        WHEN latency_ms < 4096 THEN 14 WHEN latency_ms < 5793 THEN 15 WHEN latency_ms < 8192 THEN 16 WHEN latency_ms < 11585 THEN 17
        WHEN latency_ms < 16384 THEN 18 WHEN latency_ms < 23170 THEN 19 WHEN latency_ms < 32768 THEN 20
        WHEN latency_ms < 46341 THEN 21 WHEN latency_ms < 65536 THEN 22 WHEN latency_ms < 92682 THEN 23
        WHEN latency_ms < 131072 THEN 24 WHEN latency_ms < 185364 THEN 25 WHEN latency_ms < 262144 THEN 26
        WHEN latency_ms >= 262144 THEN 27 END AS latency_class
    FROM logs) AS classed GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO usage_by_channel SELECT 900, start - start % 900, channel_id, provider, model_name,
    sum(requests), sum(errors), sum(faults), sum(void), sum(charge_nanos), sum(upstream_cost_nanos), sum(prompt_tokens),
    sum(completion_tokens), sum(cached_tokens), sum(first_token_ms), sum(latency_ms), sum(generated_tokens), sum(generation_ms),
    sum(first_00), sum(first_01), sum(first_02), sum(first_03), sum(first_04), sum(first_05), sum(first_06),
    sum(first_07), sum(first_08), sum(first_09), sum(first_10), sum(first_11), sum(first_12), sum(first_13),
    sum(latency_00), sum(latency_01), sum(latency_02), sum(latency_03), sum(latency_04), sum(latency_05), sum(latency_06),
    sum(latency_07), sum(latency_08), sum(latency_09), sum(latency_10), sum(latency_11), sum(latency_12), sum(latency_13)
FROM usage_by_key GROUP BY 1, 2, 3, 4, 5;
INSERT INTO usage_by_channel SELECT 3600, start - start % 3600, channel_id, provider, model_name,
    sum(requests), sum(errors), sum(faults), sum(void), sum(charge_nanos), sum(upstream_cost_nanos), sum(prompt_tokens),
    sum(completion_tokens), sum(cached_tokens), sum(first_token_ms), sum(latency_ms), sum(generated_tokens), sum(generation_ms),
    sum(first_00), sum(first_01), sum(first_02), sum(first_03), sum(first_04), sum(first_05), sum(first_06),
    sum(first_07), sum(first_08), sum(first_09), sum(first_10), sum(first_11), sum(first_12), sum(first_13),
    sum(latency_00), sum(latency_01), sum(latency_02), sum(latency_03), sum(latency_04), sum(latency_05), sum(latency_06),
    sum(latency_07), sum(latency_08), sum(latency_09), sum(latency_10), sum(latency_11), sum(latency_12), sum(latency_13)
FROM usage_by_channel WHERE span = 900 GROUP BY 1, 2, 3, 4, 5;
INSERT INTO usage_by_channel SELECT 86400, start - start % 86400, channel_id, provider, model_name,
    sum(requests), sum(errors), sum(faults), sum(void), sum(charge_nanos), sum(upstream_cost_nanos), sum(prompt_tokens),
    sum(completion_tokens), sum(cached_tokens), sum(first_token_ms), sum(latency_ms), sum(generated_tokens), sum(generation_ms),
    sum(first_00), sum(first_01), sum(first_02), sum(first_03), sum(first_04), sum(first_05), sum(first_06),
    sum(first_07), sum(first_08), sum(first_09), sum(first_10), sum(first_11), sum(first_12), sum(first_13),
    sum(latency_00), sum(latency_01), sum(latency_02), sum(latency_03), sum(latency_04), sum(latency_05), sum(latency_06),
    sum(latency_07), sum(latency_08), sum(latency_09), sum(latency_10), sum(latency_11), sum(latency_12), sum(latency_13)
FROM usage_by_channel WHERE span = 3600 GROUP BY 1, 2, 3, 4, 5;
INSERT INTO usage_by_user SELECT 3600, start - start % 3600, user_id, token_id,
    sum(requests), sum(errors), sum(faults), sum(void), sum(charge_nanos), sum(upstream_cost_nanos), sum(prompt_tokens),
    sum(completion_tokens), sum(cached_tokens), sum(first_token_ms), sum(latency_ms), sum(generated_tokens), sum(generation_ms),
    sum(first_00), sum(first_01), sum(first_02), sum(first_03), sum(first_04), sum(first_05), sum(first_06),
    sum(first_07), sum(first_08), sum(first_09), sum(first_10), sum(first_11), sum(first_12), sum(first_13),
    sum(latency_00), sum(latency_01), sum(latency_02), sum(latency_03), sum(latency_04), sum(latency_05), sum(latency_06),
    sum(latency_07), sum(latency_08), sum(latency_09), sum(latency_10), sum(latency_11), sum(latency_12), sum(latency_13)
FROM usage_by_key GROUP BY 1, 2, 3, 4;
INSERT INTO usage_by_user SELECT 86400, start - start % 86400, user_id, token_id,
    sum(requests), sum(errors), sum(faults), sum(void), sum(charge_nanos), sum(upstream_cost_nanos), sum(prompt_tokens),
    sum(completion_tokens), sum(cached_tokens), sum(first_token_ms), sum(latency_ms), sum(generated_tokens), sum(generation_ms),
    sum(first_00), sum(first_01), sum(first_02), sum(first_03), sum(first_04), sum(first_05), sum(first_06),
    sum(first_07), sum(first_08), sum(first_09), sum(first_10), sum(first_11), sum(first_12), sum(first_13),
    sum(latency_00), sum(latency_01), sum(latency_02), sum(latency_03), sum(latency_04), sum(latency_05), sum(latency_06),
    sum(latency_07), sum(latency_08), sum(latency_09), sum(latency_10), sum(latency_11), sum(latency_12), sum(latency_13)
FROM usage_by_user WHERE span = 3600 GROUP BY 1, 2, 3, 4;
INSERT INTO row_ranges (kind, start, first_id, last_id)
SELECT 'log', created_at - created_at % 900, min(id), max(id) FROM logs GROUP BY 2;
INSERT INTO row_ranges (kind, start, first_id, last_id)
SELECT 'entry', created_at - created_at % 900, min(id), max(id) FROM balance_transactions GROUP BY 2;

-- Pages of the log and of the ledger, newest first.
CREATE INDEX logs_by_token ON logs (token_id);
CREATE INDEX logs_by_channel ON logs (channel_id);
CREATE INDEX logs_by_model ON logs (model_name);
CREATE INDEX logs_by_outcome ON logs (outcome) WHERE outcome <> 'completed';
CREATE INDEX balance_transactions_by_type ON balance_transactions (type) WHERE type <> 'usage';
CREATE INDEX balance_transactions_by_user_type ON balance_transactions (user_id, type) WHERE type <> 'usage';
