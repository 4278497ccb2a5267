-- A column that margins need in the sums of the log, and indexes for the console's lists.

-- Requests that were charged and whose cost no vendor reported.
ALTER TABLE usage_by_key ADD COLUMN uncosted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage_by_channel ADD COLUMN uncosted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage_by_user ADD COLUMN uncosted BIGINT NOT NULL DEFAULT 0;

-- The rows that exist already, as far as their rows of the log do.
CREATE TEMPORARY TABLE uncosted AS
SELECT user_id, created_at - created_at % 900 AS start, coalesce(token_id, 0) AS token_id, coalesce(channel_id, 0) AS channel_id, provider,
    model_name, count(*) AS requests
FROM logs WHERE charge_nanos IS NOT NULL AND upstream_cost_nanos IS NULL GROUP BY 1, 2, 3, 4, 5, 6;
UPDATE usage_by_key SET uncosted = u.requests FROM pg_temp.uncosted AS u
WHERE usage_by_key.user_id = u.user_id AND usage_by_key.start = u.start AND usage_by_key.token_id = u.token_id
    AND usage_by_key.channel_id = u.channel_id AND usage_by_key.provider = u.provider AND usage_by_key.model_name = u.model_name;
UPDATE usage_by_channel SET uncosted = u.requests FROM (
    SELECT s.span, start - start % s.span AS start, channel_id, provider, model_name, sum(requests) AS requests
    FROM pg_temp.uncosted CROSS JOIN (SELECT 900 AS span UNION ALL SELECT 3600 UNION ALL SELECT 86400) AS s GROUP BY 1, 2, 3, 4, 5) AS u
WHERE usage_by_channel.span = u.span AND usage_by_channel.start = u.start AND usage_by_channel.channel_id = u.channel_id
    AND usage_by_channel.provider = u.provider AND usage_by_channel.model_name = u.model_name;
UPDATE usage_by_user SET uncosted = u.requests FROM (
    SELECT s.span, start - start % s.span AS start, user_id, token_id, sum(requests) AS requests
    FROM pg_temp.uncosted CROSS JOIN (SELECT 3600 AS span UNION ALL SELECT 86400) AS s GROUP BY 1, 2, 3, 4) AS u
WHERE usage_by_user.span = u.span AND usage_by_user.start = u.start AND usage_by_user.user_id = u.user_id
    AND usage_by_user.token_id = u.token_id;
DROP TABLE pg_temp.uncosted;

-- One user's hours and days. Sums move without it: it has none of them.
CREATE INDEX usage_by_user_first ON usage_by_user (user_id, span, start);

-- Users in the orders and by the groups of the console. None of it moves with a charge.
CREATE INDEX users_by_group ON users ("group", id);
CREATE INDEX users_by_creation ON users (created_at, id);
CREATE INDEX users_by_name ON users (lower(username), id);

-- For the list of users by a month's spending. A row is added once a month; later charges do not touch the index.
CREATE INDEX budget_usage_of_users ON budget_usage ("window", subject)
    WHERE "window" > 99999 AND "window" < 10000000 AND subject LIKE 'user:%';
