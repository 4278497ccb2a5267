"""The gateway of this repository, governed (the default of everything that is compared) or with its books off, before fleets of any size."""

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import time

from . import machine
from .gateways import KEY, Gateway
from .processes import free_port, http, wait_for

ACCESS = "at-benchmark-token-0123456789"
PASSWORD = "benchmark-password"


class APIRouter(Gateway):
    name = "apirouter"
    setup = "key, budgets of key and channel limits, hold, journal, ledger on SQLite: all on"
    admission = "standard"
    channels = 1
    models = 0                    # 0 = one price for all names
    database = None               # None = SQLite

    def start(self):
        self.configure()
        self.serve()
        admin = {"Authorization": f"Bearer {ACCESS}"}
        if self.admission != "off":
            http("POST", self.url("/api/balance/admin/add"), json.dumps({"user_id": 1, "amount": 1000000}), admin)
            status, text = http("PUT", self.url("/api/token/1"), json.dumps({"limits": {"budget": {"total": 1000000, "day": 1000000}}}), admin)
            assert status == 200, text
        self.wait_ready()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def configure(self):
        storage = self.database or "sqlite:data/apirouter.db"
        self.write("gateway.yaml", f"""server: {{ host: 127.0.0.1, port: {self.port} }}
data_dir: data
storage: {{ url: "{storage}" }}
providers_dir: providers
channels: channels.yaml
routing: {{ timeouts: {{ connect: 5s, first_byte: 600s, first_content: 600s, idle: 600s, total: 7200s }} }}
metering: {{ admission: {self.admission} }}
log: {{ level: error }}
""")
        limits = "" if self.admission == "off" else ", limits: { rpm: 100000000, concurrency: 100000 }"
        lines = [f'  - {{ id: {i + 1}, name: c{i + 1}, provider: bench, keys: [k{i}], models: ["*"]{limits} }}\n' for i in range(self.channels)]
        self.write("channels.yaml", "channels:\n" + "".join(lines))
        listed = "".join(f'  - {{ id: vendor/model-{i}, price: {{ input: "0.15", output: "0.6" }} }}\n' for i in range(self.models))
        self.write("providers/bench.yaml", f"""name: bench
adaptor: openai
base_url: http://127.0.0.1:{self.bench.upstream_port}/v1
default_price: {{ input: "0.15", output: "0.6" }}
billing: {{ cancel_stops_billing: true }}
""" + (f"models:\n{listed}" if listed else ""))

    def serve(self, seconds=60):
        """Starts on what is configured; seconds until ready are kept in `startup_seconds`."""
        environment = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
        environment.update(APIROUTER_SQL_DIR=os.path.join(self.bench.root, "sql"), INITIAL_ROOT_PASSWORD=PASSWORD,
                           INITIAL_ROOT_ACCESS_TOKEN=ACCESS, INITIAL_ROOT_TOKEN=KEY,
                           SESSION_SECRET="the-secret-of-the-bench")
        began = time.monotonic()
        self.spawn([self.bench.program, "serve", "--config", f"{self.folder}/gateway.yaml"], env=environment, cwd=self.folder)
        wait_for(self.name, self.process, seconds, lambda: http("GET", self.url("/health/ready"))[0] == 200)
        self.startup_seconds = round(time.monotonic() - began, 3)

    def metric(self, name):
        found = re.search(rf"^{name}(?:{{[^}}]*}})? ([-\d.e+]+)", http("GET", self.url("/metrics"))[1], re.MULTILINE)
        return float(found.group(1)) if found else None

    def own_overhead(self):
        """Sum (seconds) and count of the gateway's own histogram of what it adds, so that its claim can be held against our clocks."""
        return self.metric("apirouter_overhead_seconds_sum"), self.metric("apirouter_overhead_seconds_count")

    def settled(self):
        """What the poster still has to do belongs to the requests that caused it."""
        until = time.monotonic() + 20
        while self.admission != "off" and self.metric("apirouter_unposted_records") and time.monotonic() < until:
            time.sleep(0.05)

    def verify(self):
        """Whether the ledger adds up; its process must be stopped."""
        environment = dict(os.environ, APIROUTER_SQL_DIR=os.path.join(self.bench.root, "sql"))
        done = subprocess.run([self.bench.program, "ledger", "verify", "--config", f"{self.folder}/gateway.yaml"], capture_output=True, text=True,
                              env=environment, cwd=self.folder)
        return done.returncode == 0, (done.stdout + done.stderr).strip()[-300:]

    def version(self):
        return "commit " + machine.output_of("git", "-C", self.bench.root, "rev-parse", "--short", "HEAD")


class Ungoverned(APIRouter):
    name = "apirouter-off"
    setup = "the same with `metering.admission: off`: no hold, no journal, no ledger"
    admission = "off"


class OnPostgres(APIRouter):
    name = "apirouter-pg"
    setup = "governed, the ledger on PostgreSQL"

    def start(self):
        self.database = self.bench.postgres().new_database("apirouter")
        super().start()

    def database_cpu_ns(self):
        return self.bench.postgres().cpu_ns()


class Fleet(APIRouter):
    """Governed, with more keys, channels, models or ledger rows than anyone has. Rows are put into the database while it is down."""

    def __init__(self, bench, name, keys=0, channels=1, models=0, rows=0):
        self.name = name
        self.keys, self.channels, self.models, self.rows = keys, channels, models, rows
        self.ready_model = "vendor/model-0" if models else "bench-w-16"
        super().__init__(bench)

    def start(self):
        super().start()
        if self.keys or self.rows:
            self.stop()
            self.fill()
            self.port = free_port()
            self.configure()
            self.serve(seconds=600)
        self.wait_ready()

    def key(self, number):
        return f"sk-bench-{number:08d}-000000000000000000000000"

    def fill(self):
        db = sqlite3.connect(f"{self.folder}/data/apirouter.db", isolation_level=None)
        for line in ("PRAGMA journal_mode = DELETE", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -400000", "BEGIN"):
            db.execute(line)
        if self.keys:
            self.fill_keys(db)
        if self.rows:
            self.fill_rows(db)
        db.execute("COMMIT")
        db.execute("PRAGMA journal_mode = WAL")
        db.close()

    def fill_keys(self, db):
        """A hundred keys a user, each user with a hundred dollars."""
        users = max(1, self.keys // 100)
        amount, now = 100_000_000_000, int(time.time())
        hash_of = lambda text: hashlib.sha256(text.encode()).digest()
        db.executemany("INSERT INTO users (id, username, password_hash, balance_nanos, created_at) VALUES (?, ?, '', ?, ?)",
                       ((1000 + i, f"user{i}", amount, now) for i in range(users)))
        db.executemany("INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, created_at) "
                       "VALUES (?, ?, ?, 'recharge', ?, ?)", ((1000 + i, amount, amount, f"bench-{i}", now) for i in range(users)))
        db.executemany("INSERT INTO tokens (user_id, key_hash, key_prefix, name, created_at) VALUES (?, ?, ?, ?, ?)",
                       ((1000 + i % users, hash_of(self.key(i)), self.key(i)[:9], f"key {i}", now) for i in range(self.keys)))

    def fill_rows(self, db):
        """Requests of the past, each with its log row and its ledger row, of one user: a nano-dollar each, so that the books add up."""
        now = int(time.time())
        amount = self.rows
        db.execute("INSERT INTO users (id, username, password_hash, balance_nanos, created_at) VALUES (999, 'past', '', 0, ?)", (now,))
        db.execute("INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, created_at) "
                   "VALUES (999, ?, ?, 'recharge', 'past', ?)", (amount, amount, now))
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {self.rows}) "
        db.execute("INSERT INTO balance_transactions (user_id, amount_nanos, balance_after_nanos, type, reference_id, created_at) " + numbers +
                   f"SELECT 999, -1, {amount} - i, 'usage', printf('past-%09d', i), {now} - {self.rows} + i FROM n")
        zero = "cached_tokens cache_write_tokens cache_write_1h_tokens reasoning_tokens audio_input_tokens audio_output_tokens images searches requests"
        db.execute(f"INSERT INTO logs (request_id, user_id, token_id, channel_id, provider, model_name, upstream_model, endpoint, prompt_tokens, "
                   f"completion_tokens, {', '.join(zero.split())}, charge_nanos, usage_source, pricing_version, outcome, status, is_stream, attempts, "
                   f"latency_ms, client_ip, created_at) " + numbers +
                   f"SELECT printf('past-%09d', i), 999, NULL, 1, 'bench', 'm', 'm', 'chat', 1, 1, {', '.join('0' for _ in zero.split())}, 1, "
                   f"'upstream', 0, 'completed', 200, 0, 1, 10, '127.0.0.1', {now} - {self.rows} + i FROM n")
        for window in (0, *self.windows(now)):
            db.execute("INSERT OR REPLACE INTO budget_usage (subject, window, spent_nanos) VALUES ('user:999', ?, "
                       "(SELECT count(*) FROM logs WHERE user_id = 999 AND (? = 0 OR created_at >= ?)))", (window, window, self.window_start(window)))

    @staticmethod
    def windows(now):
        """This month and today, as the table writes them; earlier ones are never asked for."""
        day = time.gmtime(now)
        return day.tm_year * 100 + day.tm_mon, day.tm_year * 10000 + day.tm_mon * 100 + day.tm_mday

    @staticmethod
    def window_start(window):
        if window == 0:
            return 0
        import calendar
        text = str(window) if window > 1_000_000 else f"{window}01"
        return calendar.timegm(time.strptime(text, "%Y%m%d"))
