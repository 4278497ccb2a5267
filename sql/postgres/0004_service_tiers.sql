-- Prices of service tiers (flex, priority, batch) as JSON text with exact decimals in USD per unit, and the tier that served a request
-- (sql/sqlite/0005).
ALTER TABLE model_pricing ADD COLUMN service_tiers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE logs ADD COLUMN service_tier TEXT;
