-- Pictures that are edited: their tokens in a prompt have a price of their own, and images are priced by size and quality. The prices are JSON
-- with exact decimal text in USD; the tokens are a part of prompt_tokens.
ALTER TABLE model_pricing ADD COLUMN pictures TEXT;
ALTER TABLE logs ADD COLUMN image_input_tokens INTEGER NOT NULL DEFAULT 0;
