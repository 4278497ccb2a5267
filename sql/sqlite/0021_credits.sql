-- Gifts: credit with a life, apart from what was paid for; redemption codes; accounts whose group follows what they have recharged.
-- docs/accounts.md

-- The part of a charge that gifts have paid, as a positive amount; NULL = none.
ALTER TABLE balance_transactions ADD COLUMN gift_nanos INTEGER;

-- Recharges of organisations, as `balance_transactions_by_user_type` has those of users.
CREATE INDEX balance_transactions_by_account_type ON balance_transactions (account_id, type)
    WHERE account_id IS NOT NULL AND type <> 'usage';

-- The unspent part of gifts: included in balance_nanos, and the sum of the account's open rows of `credits`. 0 = there are no open gifts.
ALTER TABLE users ADD COLUMN gift_nanos INTEGER NOT NULL DEFAULT 0 CHECK (gift_nanos >= 0);
-- Why the account has its group: 'admin' = somebody has chosen it, 'level' = what it has recharged; NULL = nothing has.
ALTER TABLE users ADD COLUMN group_source TEXT CHECK (group_source = 'admin' OR group_source = 'level');
-- Every group but the first one was chosen by hand until now.
UPDATE users SET group_source = 'admin' WHERE "group" <> 'default';

CREATE TABLE credits (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    amount_nanos  INTEGER NOT NULL CHECK (amount_nanos > 0),
    left_nanos    INTEGER NOT NULL CHECK (left_nanos >= 0),
    -- Taken back when its time was over.
    expired_nanos INTEGER NOT NULL DEFAULT 0 CHECK (expired_nanos >= 0),
    -- 'grant' = an administrator, 'code' = a redemption code
    source        TEXT    NOT NULL,
    -- The reference_id of its `recharge` row.
    reference     TEXT    NOT NULL UNIQUE,
    -- NULL = never
    expires_at    INTEGER,
    state         TEXT    NOT NULL DEFAULT 'open' CHECK (state = 'open' OR state = 'spent' OR state = 'expired'),
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    CHECK (left_nanos + expired_nanos <= amount_nanos),
    CHECK ((state = 'open') = (left_nanos > 0))
) STRICT;
CREATE INDEX credits_by_account ON credits (account_id, id);
CREATE INDEX credits_open ON credits (account_id) WHERE state = 'open';
CREATE INDEX credits_due ON credits (expires_at) WHERE state = 'open' AND expires_at IS NOT NULL;

CREATE TABLE redemption_batches (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    amount_nanos INTEGER NOT NULL CHECK (amount_nanos > 0),
    codes        INTEGER NOT NULL CHECK (codes > 0),
    redeemed     INTEGER NOT NULL DEFAULT 0 CHECK (redeemed >= 0 AND redeemed <= codes),
    kind         TEXT    NOT NULL CHECK (kind = 'gift' OR kind = 'cash'),
    -- Seconds that a gift lasts from its redemption on; NULL = for ever.
    gift_seconds INTEGER CHECK (gift_seconds > 0),
    -- NULL = the codes have no end.
    expires_at   INTEGER,
    -- Codes that one account may redeem; NULL = all of them.
    per_account  INTEGER CHECK (per_account > 0),
    -- JSON: names of groups whose accounts may redeem them; [] = all.
    "groups"     TEXT    NOT NULL DEFAULT '[]',
    -- NULL = the command line.
    created_by   INTEGER,
    created_at   INTEGER NOT NULL,
    -- NULL = it is open.
    disabled_at  INTEGER
) STRICT;
CREATE TABLE redemption_codes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id    INTEGER NOT NULL REFERENCES redemption_batches (id) ON DELETE RESTRICT,
    -- SHA-256 of the code, which is shown once and kept nowhere.
    hash        BLOB NOT NULL UNIQUE,
    prefix      TEXT    NOT NULL,
    -- NULL = nobody has.
    account_id  INTEGER,
    redeemed_by INTEGER,
    redeemed_at INTEGER
) STRICT;
CREATE INDEX redemption_codes_by_batch ON redemption_codes (batch_id, id);
CREATE INDEX redemption_codes_by_account ON redemption_codes (account_id, batch_id) WHERE account_id IS NOT NULL;
