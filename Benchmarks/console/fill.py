"""Fills a ledger's database with requests, their ledger rows, users and keys, by a few statements of SQL over numbers from 1 to N."""

PRIME = 2147483647
DAYS = 90
# A user makes this many requests one after another, as agents and people do.
BURST = 8
CHANNELS = 20


class Sizes:
    def __init__(self, rows, users):
        self.rows = rows
        self.users = users
        self.keys = users + users // 2


def mixed(number, factor, below):
    """A number under `below`, evenly spread: SQL that reads the same in both databases."""
    return f"(({number} * {factor}) % {PRIME} % {below})"


def share(number, factor):
    """The same between 0 and 1."""
    return f"(({number} * {factor}) % {PRIME} / CAST({PRIME} AS DOUBLE PRECISION))"


class Moves(dict):
    """SQLite's function `moved(user, amount)`: the sum of the amounts of a user up to now."""

    def __call__(self, user, amount):
        self[user] = self.get(user, 0) + amount
        return self[user]


class Dialect:
    """What the two databases say in different words."""

    def __init__(self, is_sqlite):
        self.is_sqlite = is_sqlite

    def numbers(self, count):
        if self.is_sqlite:
            return f"(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"
        return f"(SELECT i FROM generate_series(1, {count}::BIGINT) AS g (i))"

    def hexadecimal(self, number, digits):
        return f"printf('%0{digits}x', {number})" if self.is_sqlite else f"lpad(to_hex({number}), {digits}, '0')"

    def whole(self, number):
        return f"CAST({number} AS INTEGER)" if self.is_sqlite else f"CAST(floor({number}) AS BIGINT)"

    def window(self, seconds, form):
        if self.is_sqlite:
            return f"CAST(strftime('{'%Y%m%d' if form == 'day' else '%Y%m'}', {seconds}, 'unixepoch') AS INTEGER)"
        return f"CAST(to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', '{'YYYYMMDD' if form == 'day' else 'YYYYMM'}') AS BIGINT)"

    def blob(self, text):
        return f"CAST({text} AS BLOB)" if self.is_sqlite else f"CAST({text} AS BYTEA)"

    def left(self, given):
        """The balance behind each row of the log, from the first to the last."""
        if self.is_sqlite:
            # A function of ours: SQLite's windows would sort all rows twice.
            return f"{given} + moved(user_id, -charge_nanos)"
        return f"{given} - sum(charge_nanos) OVER (PARTITION BY user_id ORDER BY id)"


def people(sizes, dialect, now):
    """Root is user 1, an administrator user 2. User 3 has the most requests."""
    count, keys, start = sizes.users, sizes.keys, now - DAYS * 86_400
    name = "'user-' || (i + 2)"
    return [
        f"""INSERT INTO users (id, username, password_hash, role, created_at)
            VALUES (1, 'root', '', 100, {start}), (2, 'admin', '', 10, {start})""",
        f"""INSERT INTO users (id, username, password_hash, display_name, email, "group", created_at)
            SELECT i + 2, {name}, '', 'Person ' || {mixed('i', 1943110837, 1000)}, {name} || '@example.com',
                CASE WHEN i % 50 = 0 THEN 'vip' ELSE 'default' END, {start} + {mixed('i', 1203248318, DAYS * 86_400)}
            FROM {dialect.numbers(count)} AS numbers""",
        f"""INSERT INTO tokens (id, user_id, key_hash, key_prefix, name, created_at)
            SELECT i, (i - 1) % {count} + 3, {dialect.blob(dialect.hexadecimal('i', 32))}, 'sk-' || {dialect.hexadecimal('i', 6)},
                'key ' || i, {start} FROM {dialect.numbers(keys)} AS numbers""",
        f"""INSERT INTO audit_log (actor_id, action, detail, client_ip, created_at)
            SELECT CASE WHEN i % 3 = 0 THEN 1 ELSE 2 END, CASE i % 4 WHEN 0 THEN 'user.login' WHEN 1 THEN 'token.create'
                WHEN 2 THEN 'user.change' ELSE 'balance.add' END, '{{}}', '10.0.0.1', {start} + i * {DAYS * 86_400} / {count}
            FROM {dialect.numbers(count)} AS numbers""",
    ]


def requests(sizes, dialect, models, now):
    """Rows of the log in the order of time. A few users make most of them, and some make none."""
    start, step = now - DAYS * 86_400, DAYS * 86_400 / sizes.rows
    burst = f"(i / {BURST})"
    user = dialect.whole(f"{sizes.users} * {share(burst, 1588635695)} * {share(burst, 1588635695)} * {share(burst, 1588635695)}")
    key = f"CASE WHEN u < {sizes.keys - sizes.users} AND {mixed(burst, 1300000061, 3)} = 0 THEN u + 1 + {sizes.users} ELSE u + 1 END"
    model = dialect.whole(f"{len(models)} * {share(burst, 1989591011)} * {share(burst, 1989591011)}")
    names = "CASE m " + " ".join(f"WHEN {place} THEN '{name}'" for place, name in enumerate(models)) + " END"
    kind = mixed("i", 39373, 1000)
    void = "k < 30"
    columns = f"""i, u + 3 AS user_id, {key} AS token_id, (m * 7 + {mixed(burst, 630360016, 3)} + CASE WHEN k % 10 = 0 THEN 1 ELSE 0 END) % {CHANNELS} + 1 AS channel_id, {names} AS model,
        k, 50 + {mixed('i', 742938285, 8000)} AS p, 10 + {mixed('i', 950706376, 1500)} AS c, 100 + {mixed('i', 1226874159, 30_000_000)} AS charge,
        40 + {mixed('i', 2027812808, 4000)} AS first, 200 + {mixed('i', 1343714438, 20_000)} AS rest,
        {start} + {dialect.whole(f'i * {step}')} - {mixed('i', 1407677000, 30)} AS at"""
    identity = f"{dialect.hexadecimal('i', 8)} || '-0000-7000-8000-' || {dialect.hexadecimal(mixed('i', 1943110837, PRIME), 12)}"
    return f"""INSERT INTO logs (request_id, user_id, token_id, channel_id, provider, model_name, upstream_model, endpoint, prompt_tokens,
            completion_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens, reasoning_tokens, audio_input_tokens,
            audio_output_tokens, images, searches, requests, charge_nanos, upstream_cost_nanos, usage_source, pricing_version, outcome, status,
            error_code, is_stream, attempts, generation_id, latency_ms, first_token_ms, client_ip, created_at)
        SELECT {identity}, user_id, token_id, channel_id, 'vendor' || (channel_id % 4), model, model, 'chat', p, c, p / 5, 0, 0, 0, 0, 0, 0, 0, 1,
            CASE WHEN {void} THEN NULL ELSE charge END, CASE WHEN {void} OR channel_id % 10 = 0 THEN NULL ELSE charge / 10 * 8 END, 'upstream', 0,
            CASE WHEN {void} THEN 'failed' WHEN k < 35 THEN 'truncated' WHEN k < 45 THEN 'client_gone' ELSE 'completed' END,
            CASE WHEN k < 10 THEN 429 WHEN k < 15 THEN 400 WHEN {void} THEN 503 ELSE 200 END, CASE WHEN {void} THEN 'upstream_error' END,
            i % 5 > 0, 1, 'gen-' || {dialect.hexadecimal('i', 8)}, first + rest, CASE WHEN {void} THEN NULL ELSE first END,
            '10.0.0.1', at
        FROM (SELECT {columns} FROM (SELECT i, {user} AS u, {model} AS m, {kind} AS k FROM {dialect.numbers(sizes.rows)} AS numbers) AS drawn) AS r"""


def money(sizes, dialect, now):
    """A recharge for each user, and a row for each charge, with the balance behind it; then the balances, and what was spent in windows."""
    start, given = now - DAYS * 86_400 - 86_400, 10**15
    yield f"""INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
        SELECT id, {given}, {given}, 'recharge', 'first-' || id, 'first recharge', {start} FROM users WHERE id > 2 ORDER BY id"""
    left = dialect.left(given)
    yield f"""INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, description, created_at)
        SELECT user_id, -charge_nanos, left_nanos, 'usage', request_id, model_name || ' chat: ' || prompt_tokens || ' in', created_at
        FROM (SELECT id, user_id, charge_nanos, request_id, model_name, prompt_tokens, created_at, {left} AS left_nanos
            FROM logs WHERE charge_nanos IS NOT NULL ORDER BY id) AS charged ORDER BY id"""
    yield f"""CREATE {'TEMP' if dialect.is_sqlite else 'TEMPORARY'} TABLE charged AS
        SELECT user_id, token_id, created_at / 86400 * 86400 AS day, sum(charge_nanos) AS nanos FROM logs WHERE charge_nanos IS NOT NULL
        GROUP BY 1, 2, 3"""
    for subject in ("'user:' || user_id", "'key:' || token_id"):
        for window in ("0", dialect.window("day", "month"), dialect.window("day", "day")):
            yield f"""INSERT INTO budget_usage (subject, "window", spent_nanos)
                SELECT {subject}, {window}, sum(nanos) FROM charged GROUP BY 1, 2 ORDER BY 1, 2"""
    yield f"""UPDATE users SET balance_nanos = {given} - coalesce(
        (SELECT b.spent_nanos FROM budget_usage b WHERE b.subject = 'user:' || users.id AND b."window" = 0), 0) WHERE id > 2"""
    yield "DROP TABLE charged"
    if not dialect.is_sqlite:
        for table in ("users", "tokens", "logs", "balance_transactions", "audit_log"):
            yield f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"


def statements(sizes, dialect, models, now):
    yield from people(sizes, dialect, now)
    yield requests(sizes, dialect, models, now)
    yield from money(sizes, dialect, now)
