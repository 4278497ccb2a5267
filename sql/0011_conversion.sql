-- The fields that a conversion left out of a request, as a JSON list of names; null = none.
ALTER TABLE logs ADD COLUMN dropped_fields TEXT;
-- How requests with a key are converted; null = as the channel or the gateway says.
ALTER TABLE tokens ADD COLUMN conversion TEXT CHECK (conversion IN ('lenient', 'strict'));
