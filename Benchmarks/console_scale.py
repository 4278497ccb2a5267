#!/usr/bin/env python3
"""Times every call of the console's pages on a ledger of many rows. See Benchmarks/README.md, "The console at ten million rows".

    Benchmarks/console_scale.py --program .build-release/release/apirouter --rows 10000000 --database sqlite
    Benchmarks/console_scale.py --program … --rows 10000000 --database postgres --work /tmp/console-scale --keep
"""

import argparse
import glob
import http.client
import json
import os
import pwd
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

from console import pages
from console.fill import CHANNELS, Dialect, Moves, Sizes, statements
from harness.processes import Process, free_port, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PASSWORD = "the-password-of-the-bench"
ACCESS = "at-the-token-of-the-bench-0123456789"
# The last migration before the sums of the log.
BEFORE_SUMS = 15


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class SQLite:
    name = "SQLite " + sqlite3.sqlite_version

    def __init__(self, work):
        self.path = os.path.join(work, "data", "apirouter.db")
        self.url = f"sqlite:{self.path}"
        self.dialect = Dialect(is_sqlite=True)
        self.process = None

    def fresh(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        for path in glob.glob(self.path + "*"):
            os.remove(path)

    def run(self, steps):
        base = sqlite3.connect(self.path, isolation_level=None)
        base.create_function("moved", 2, Moves())
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000", "temp_store = FILE", "foreign_keys = OFF"):
            base.execute(f"PRAGMA {pragma}")
        for step in steps(lambda sql: base.execute(sql).fetchall()):
            base.execute("BEGIN")
            base.execute(step)
            base.execute("COMMIT")
        base.execute("PRAGMA journal_mode = WAL")
        base.close()

    def indexes(self, ask):
        return ask("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
                   " AND tbl_name IN ('logs', 'balance_transactions') AND sql NOT LIKE 'CREATE UNIQUE%'")

    def ask(self, sql):
        base = sqlite3.connect(self.path)
        try:
            return base.execute(sql).fetchone()
        finally:
            base.close()

    def bytes(self):
        return sum(os.path.getsize(path) for path in glob.glob(self.path + "*"))

    def tidy(self):
        """As `apirouter` leaves it: nothing is analysed."""

    def stop(self):
        pass


class Postgres:
    def __init__(self, work):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.name = "PostgreSQL " + subprocess.run([f"{self.bin}/postgres", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
        self.work, self.data, self.port = work, os.path.join(work, "postgres"), free_port()
        self.user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/scale"
        self.dialect = Dialect(is_sqlite=False)
        if not os.path.exists(self.data):
            os.makedirs(self.data)
            if self.user:
                os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
            self.tool("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8")
        settings = ["shared_buffers=512MB", "max_wal_size=8GB", "work_mem=16MB", "maintenance_work_mem=512MB", f"port={self.port}",
                    "listen_addresses=127.0.0.1", f"unix_socket_directories={self.data}"]
        self.process = Process([f"{self.bin}/postgres", "-D", self.data, *[word for one in settings for word in ("-c", one)]],
                               os.path.join(work, "postgres.log"), cwd="/tmp", user=self.user.pw_uid if self.user else None)
        ready = [f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for("PostgreSQL", self.process, 60, lambda: subprocess.run(ready).returncode == 0)

    def tool(self, program, *words):
        subprocess.run([f"{self.bin}/{program}", *words], check=True, stdout=subprocess.DEVNULL, cwd="/tmp", user=self.user.pw_uid if self.user else None)

    def psql(self, sql):
        done = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", self.url, "-f", "-"],
                              input=sql, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{done.stderr}\n{sql[:2000]}")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def fresh(self):
        server = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        self.tool("dropdb", *server, "--if-exists", "scale")
        self.tool("createdb", *server, "scale")

    def run(self, steps):
        # One session: a temporary table lives in it. Triggers would announce each row to other gateways.
        quick = "SET session_replication_role = replica; SET synchronous_commit = off; SET work_mem = '256MB';"
        self.psql(quick + "".join(step + ";\n" for step in steps(self.psql)))

    def indexes(self, ask):
        return ask("SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('logs', 'balance_transactions') AND indexdef NOT LIKE 'CREATE UNIQUE%'")

    def ask(self, sql):
        rows = self.psql(sql)
        return rows[0] if rows else None

    def bytes(self):
        return int(self.ask("SELECT pg_database_size('scale')")[0])

    def tidy(self):
        """What autovacuum does behind such a fill."""
        self.psql("VACUUM ANALYZE")

    def stop(self):
        self.process.stop()


class Scale:
    def __init__(self, options):
        self.options = options
        self.work = os.path.abspath(options.work)
        os.makedirs(self.work, exist_ok=True)
        os.chmod(self.work, 0o755)
        self.base = (SQLite if options.database == "sqlite" else Postgres)(self.work)
        self.port = options.port or free_port()
        self.models = self.some_models(30)
        self.times = {}

    @staticmethod
    def some_models(count):
        """Names that the shipped price list has."""
        with open(os.path.join(ROOT, "providers/openai.yaml")) as file:
            return re.findall(r"^  - id: ([\w.:/-]+)$", file.read(), re.MULTILINE)[:count]

    def configure(self):
        channels = "".join(f'  - {{ id: {i + 1}, name: channel-{i + 1}, provider: openai, keys: [none], models: ["*"] }}\n' for i in range(CHANNELS))
        self.write("channels.yaml", "channels:\n" + channels)
        self.write("gateway.yaml", f"""server: {{ host: 127.0.0.1, port: {self.port} }}
data_dir: {self.work}/data
storage: {{ url: "{self.base.url}" }}
providers_dir: {ROOT}/providers
channels: channels.yaml
groups: {{ default: {{ ratio: "1" }}, vip: {{ ratio: "0.9" }} }}
console: {{ enabled: true, rankings: everyone }}
log: {{ level: error }}
""")

    def write(self, name, text):
        with open(os.path.join(self.work, name), "w") as file:
            file.write(text)

    def environment(self, sql):
        kept = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
        return {**kept, "APIROUTER_SQL_DIR": sql, "APIROUTER_WEB_DIR": os.path.join(ROOT, "web"), "INITIAL_ROOT_ACCESS_TOKEN": ACCESS,
                "INITIAL_ROOT_PASSWORD": PASSWORD, "SESSION_SECRET": "the-secret-of-the-bench-is-long"}

    def apirouter(self, *words, sql=None):
        began = time.monotonic()
        done = subprocess.run([self.options.program, *words, "--config", f"{self.work}/gateway.yaml"], capture_output=True, text=True, cwd=self.work,
                              env=self.environment(sql or self.options.sql))
        if done.returncode:
            sys.exit(f"apirouter {' '.join(words)}: {done.stdout}{done.stderr}")
        return time.monotonic() - began, done.stdout.strip()

    # The database

    def old_schema(self):
        """A folder with the migrations up to the one before the sums."""
        folder = os.path.join(self.work, "sql-before")
        shutil.rmtree(folder, ignore_errors=True)
        for path in glob.glob(f"{self.options.sql}/**/*.sql", recursive=True):
            if int(os.path.basename(path)[:4]) <= BEFORE_SUMS:
                to = os.path.join(folder, os.path.relpath(path, self.options.sql))
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(path, to)
        return folder

    def fill(self):
        self.base.fresh()
        self.apirouter("migrate", sql=self.old_schema())
        began = time.monotonic()
        sizes = Sizes(self.options.rows, self.options.users)

        def steps(ask):
            indexes = self.base.indexes(ask)
            for name, _ in indexes:
                yield f"DROP INDEX {name}"
            yield from statements(sizes, self.base.dialect, self.models, int(time.time()))
            for _, sql in indexes:
                yield sql

        def told(ask):
            for step in steps(ask):
                say(" ".join(step.split())[:110])
                yield step
        self.base.run(told)
        self.times["filled"] = time.monotonic() - began
        say(f"filled in {self.times['filled']:.0f} s, {self.base.bytes() >> 20} MB")
        self.base.tidy()
        began = time.monotonic()
        self.times["migrated"], told = self.apirouter("migrate")
        say(f"{told} in {self.times['migrated']:.0f} s, {self.base.bytes() >> 20} MB")
        self.base.tidy()

    def known(self):
        ask = lambda sql: self.base.ask(sql)[0]
        middle = self.options.rows // 2
        own_row = ask(f"SELECT id FROM logs WHERE user_id = 3 AND id > {middle} ORDER BY id LIMIT 1")
        return {
            "user": 3, "key": ask("SELECT token_id FROM logs WHERE user_id = 3 ORDER BY id LIMIT 1"), "channel": 5, "model": self.models[0],
            "row": middle, "own_row": own_row, "own_request": ask(f"SELECT request_id FROM logs WHERE id = {own_row}"),
            "request": ask(f"SELECT request_id FROM logs WHERE id = {middle}"),
            "own_entry": ask(f"SELECT id FROM balance_transactions WHERE user_id = 3 AND id > {middle} ORDER BY id LIMIT 1"),
            "quiet_user": ask(f"SELECT user_id FROM logs WHERE user_id > {self.options.users // 2} ORDER BY id LIMIT 1"),
        }

    # The gateway

    def serve(self):
        began = time.monotonic()
        self.gateway = Process([self.options.program, "serve", "--config", f"{self.work}/gateway.yaml"], os.path.join(self.work, "gateway.log"),
                               env=self.environment(self.options.sql), cwd=self.work)
        wait_for("the gateway", self.gateway, 300, lambda: self.call("GET", "/health/ready")[0] == 200)
        self.times["started"] = time.monotonic() - began

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def log_in(self):
        """A management token for each role, by the calls that people make."""
        root = {"Authorization": f"Bearer {ACCESS}", "Content-Type": "application/json"}
        tokens = {"root": ACCESS}
        for role, user, name in (("admin", 2, "admin"), ("user", 3, "user-3")):
            status, text = self.call("PUT", f"/api/user/{user}", json.dumps({"password": PASSWORD}), root)
            assert status == 200, text
            status, text = self.call("POST", "/api/user/login", json.dumps({"username": name, "password": PASSWORD}), {"Content-Type": "application/json"})
            assert status == 200, text
            tokens[role] = json.loads(text)["data"]["access_token"]
        return {"visitor": {}, **{role: {"Authorization": f"Bearer {token}"} for role, token in tokens.items()}}

    def measure(self):
        headers = self.log_in()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        rows = []
        for role, page, label, path in pages.calls(self.known()):
            times, sizes, sent = [], [], []
            for turn in range(self.options.times):
                asked = path.replace("{model%d}", self.models[turn % len(self.models)])
                began = time.monotonic()
                connection.request("GET", asked, headers={**headers[role], "Accept-Encoding": "gzip"})
                answer = connection.getresponse()
                data = answer.read()
                times.append((time.monotonic() - began) * 1000)
                sent.append(len(data))
                sizes.append(answer.getheader("Content-Encoding") or "")
                if answer.status != 200:
                    say(f"{asked}: {answer.status} {data[:300]}")
            times.sort()
            p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
            rows.append((role, page, label, statistics.median(times), p95, times[-1], max(sent), sizes[-1]))
        return rows

    def peak_memory(self):
        with open(f"/proc/{self.gateway.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) // 1024

    # The report

    def report(self, rows):
        count = lambda table: self.base.ask(f"SELECT count(*) FROM {table}")[0]
        tables = ("logs", "balance_transactions", "users", "tokens", "usage_by_key", "usage_by_channel", "usage_by_user", "budget_usage", "row_ranges")
        print(f"### {self.base.name}\n")
        print(", ".join(f"{table} {int(count(table)):,}" for table in tables) + f"; {self.base.bytes() / 2**30:.1f} GiB.")
        times = {"filled": "filled in", "migrated": f"migrations from {BEFORE_SUMS + 1:04} on in", "started": "gateway ready after"}
        print("; ".join(f"{words} {self.times[name]:.1f} s" for name, words in times.items() if name in self.times)
              + f"; the gateway's peak memory {self.peak_memory()} MB.\n")
        limit = self.options.limit
        print(f"| who | page | call | median ms | p95 | max | bytes | |\n|---|---|---|---:|---:|---:|---:|---|")
        for role, page, label, median, p95, most, size, coding in rows:
            mark = f"over {limit}" if median > limit else ""
            print(f"| {role} | {page} | {label} | {median:.1f} | {p95:.1f} | {most:.1f} | {size:,}{' gzip' if coding else ''} | {mark} |")
        slow = [row for row in rows if row[3] > limit]
        print(f"\n{len(rows)} calls, {self.options.times} times each; {len(slow)} have a median over {limit} ms.")

    def run(self):
        try:
            self.configure()
            if not self.options.reuse:
                self.fill()
            self.serve()
            self.report(self.measure())
            self.gateway.stop()
            if self.options.verify:
                seconds, told = self.apirouter("ledger", "verify")
                print(f"`apirouter ledger verify`: {told} ({seconds:.0f} s)")
        finally:
            if getattr(self, "gateway", None):
                self.gateway.stop()
            self.base.stop()
            if not self.options.keep:
                shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(ROOT, ".build-release/release/apirouter"), help="the gateway's binary")
    parser.add_argument("--sql", default=os.path.join(ROOT, "sql"), help="the migrations of that binary")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the log, over 90 days")
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=20, help="how often each call is made")
    parser.add_argument("--limit", type=int, default=50, help="milliseconds above which a median is marked")
    parser.add_argument("--work", default="/tmp/console-scale", help="a folder for the database; deleted at the end")
    parser.add_argument("--keep", action="store_true", help="leave the folder")
    parser.add_argument("--reuse", action="store_true", help="take the database that --keep has left")
    parser.add_argument("--verify", action="store_true", help="recompute the books at the end")
    parser.add_argument("--port", type=int, help="of the gateway; default: a free one")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    options.sql = os.path.abspath(options.sql)
    Scale(options).run()


if __name__ == "__main__":
    main()
