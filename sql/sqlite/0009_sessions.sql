-- Sessions: when each was last used and where it was begun, and where users have logged in from.
ALTER TABLE access_tokens ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE access_tokens ADD COLUMN client_ip TEXT NOT NULL DEFAULT '';
ALTER TABLE access_tokens ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
UPDATE access_tokens SET used_at = created_at;

-- Tries from here are not slowed down by what strangers do to the same name.
CREATE TABLE login_addresses (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- An IPv4 address, or the /64 of an IPv6 address.
    address TEXT    NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, address)
) STRICT, WITHOUT ROWID;
