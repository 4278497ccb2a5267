-- What a request was charged by: the part beyond its bound that nobody is charged, the bound itself (strict admission), and the factor of the
-- user's group at that time, so that a later correction goes by the same (sql/sqlite/0007).
ALTER TABLE logs ADD COLUMN uncharged_nanos BIGINT NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN ceiling_nanos BIGINT;
ALTER TABLE logs ADD COLUMN price_ratio_millionths BIGINT;
