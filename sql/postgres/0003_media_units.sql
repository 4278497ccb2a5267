-- Further units: characters that are spoken, seconds of sound that are listened to (sql/sqlite/0004). Prices are exact decimal text in USD
-- per unit.
ALTER TABLE model_pricing ADD COLUMN pricing_character TEXT NOT NULL DEFAULT '0';
ALTER TABLE model_pricing ADD COLUMN pricing_audio_second TEXT NOT NULL DEFAULT '0';
ALTER TABLE logs ADD COLUMN characters BIGINT NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN audio_milliseconds BIGINT NOT NULL DEFAULT 0;
