-- What a request was charged by: the part beyond its bound that nobody is charged, the bound itself (strict admission), and the factor of the
-- user's group at that time, so that a later correction goes by the same.
ALTER TABLE logs ADD COLUMN uncharged_nanos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN ceiling_nanos INTEGER;
ALTER TABLE logs ADD COLUMN price_ratio_millionths INTEGER;
