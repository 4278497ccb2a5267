-- The cost of requests to us, beside the charge. docs/ledger.md, "Cost and margin".
-- `vendor_cost_nanos` = the vendor's bill for the answer and for attempts that failed before it; NULL = unknown, and in rows of an earlier
-- version: those have what the vendor reported, in `upstream_cost_nanos`. `vendor_cost_source` = 'reported' or 'computed'.
ALTER TABLE logs ADD COLUMN vendor_cost_nanos INTEGER;
ALTER TABLE logs ADD COLUMN vendor_cost_source TEXT;

-- In the sums: `uncosted` = charged requests whose cost is unknown, from here on neither reported nor computed, and
-- `uncosted_charge_nanos` = their charges.
ALTER TABLE usage_by_key ADD COLUMN vendor_cost_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_key ADD COLUMN uncosted_charge_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_channel ADD COLUMN vendor_cost_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_channel ADD COLUMN uncosted_charge_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_user ADD COLUMN vendor_cost_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_by_user ADD COLUMN uncosted_charge_nanos INTEGER NOT NULL DEFAULT 0;

-- The rows that exist already know no more than what vendors reported. Where some requests of a row have such a figure and others have not,
-- the charges of the others are known as an average.
UPDATE usage_by_key SET vendor_cost_nanos = upstream_cost_nanos, uncosted_charge_nanos = CASE
    WHEN uncosted <= 0 THEN 0
    WHEN uncosted >= requests - void THEN charge_nanos
    ELSE charge_nanos / (requests - void) * uncosted END;
UPDATE usage_by_channel SET vendor_cost_nanos = upstream_cost_nanos, uncosted_charge_nanos = sums.charges
FROM (SELECT s.span AS span, k.start - k.start % s.span AS start, k.channel_id, k.provider, k.model_name,
        sum(k.uncosted_charge_nanos) AS charges
    FROM usage_by_key k CROSS JOIN (SELECT 900 AS span UNION ALL SELECT 3600 UNION ALL SELECT 86400) AS s
    GROUP BY 1, 2, 3, 4, 5) AS sums
WHERE usage_by_channel.span = sums.span AND usage_by_channel.start = sums.start
    AND usage_by_channel.channel_id = sums.channel_id AND usage_by_channel.provider = sums.provider AND usage_by_channel.model_name = sums.model_name;
UPDATE usage_by_user SET vendor_cost_nanos = upstream_cost_nanos, uncosted_charge_nanos = sums.charges
FROM (SELECT s.span AS span, k.start - k.start % s.span AS start, k.user_id, k.token_id,
        sum(k.uncosted_charge_nanos) AS charges
    FROM usage_by_key k CROSS JOIN (SELECT 3600 AS span UNION ALL SELECT 86400) AS s
    GROUP BY 1, 2, 3, 4) AS sums
WHERE usage_by_user.span = sums.span AND usage_by_user.start = sums.start
    AND usage_by_user.user_id = sums.user_id AND usage_by_user.token_id = sums.token_id;
