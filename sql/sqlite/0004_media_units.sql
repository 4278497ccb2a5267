-- Further units: characters that are spoken, seconds of sound that are listened to. Prices are exact decimal text in USD per unit.
ALTER TABLE model_pricing ADD COLUMN pricing_character TEXT NOT NULL DEFAULT '0';
ALTER TABLE model_pricing ADD COLUMN pricing_audio_second TEXT NOT NULL DEFAULT '0';
ALTER TABLE logs ADD COLUMN characters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE logs ADD COLUMN audio_milliseconds INTEGER NOT NULL DEFAULT 0;
