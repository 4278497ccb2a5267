-- For OpenRouter's clients: keys that manage keys, and requests by the id of their answer.
ALTER TABLE tokens ADD COLUMN is_management BOOLEAN NOT NULL DEFAULT FALSE;
-- The id in the answer's body, where it is not generation_id.
ALTER TABLE logs ADD COLUMN answer_id TEXT;
-- stop, length, tool_calls or content_filter
ALTER TABLE logs ADD COLUMN finish_reason TEXT;
CREATE INDEX logs_by_generation ON logs (generation_id, user_id, id) WHERE generation_id IS NOT NULL;
CREATE INDEX logs_by_answer ON logs (answer_id, user_id, id) WHERE answer_id IS NOT NULL;
