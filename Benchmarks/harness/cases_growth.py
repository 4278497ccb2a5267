"""Ours, governed, with more and more keys, channels, models and ledger rows: the cost of a request should not notice."""

import os
import random

from . import machine
from .load import figures, quantiles, request_body
from .ours import Fleet
from .processes import NotReady, http

FULL = {"keys": (10, 1_000, 100_000, 1_000_000), "channels": (10, 100, 1_000), "models": (10, 1_000, 10_000), "rows": (0, 100_000, 10_000_000)}
QUICK = {"keys": (10, 100_000), "channels": (10, 1_000), "models": (10, 10_000), "rows": (0, 100_000)}


def growth(bench):
    """One dimension at a time; the sizes of one dimension interleaved in the same run."""
    if "apirouter" not in bench.options.gateways:
        return
    for dimension, sizes in (QUICK if bench.quick else FULL).items():
        fleets = []
        try:
            for size in sizes:
                fleet = Fleet(bench, f"fleet-{dimension}-{size}", **{dimension: size})
                fleets.append((size, fleet))
                start(bench, dimension, size, fleet)
            for turn in range(bench.rounds):
                for size, fleet in fleets:
                    if fleet.process:
                        measure(bench, turn, dimension, size, fleet)
        finally:
            for size, fleet in fleets:
                fleet.stop()
                if fleet.keys or fleet.rows:
                    good, words = fleet.verify()
                    bench.row("growth", fleet.name, dimension=dimension, size=size, state="ledger", adds_up=good, words=words)


def start(bench, dimension, size, fleet):
    try:
        fleet.start()
    except NotReady as error:
        fleet.stop()
        bench.row("growth", fleet.name, dimension=dimension, size=size, state="failed", reason=str(error)[:300])
        return
    database = f"{fleet.folder}/data/apirouter.db"
    bench.row("growth", fleet.name, dimension=dimension, size=size, state="started", startup_s=fleet.startup_seconds, **machine.memory_kb(fleet.pid),
              database_mb=os.path.getsize(database) // 1_000_000)


def measure(bench, round_number, dimension, size, fleet):
    """`hot`: the same few keys or models again and again; `spread`: ten thousand of them at random, where there are so many."""
    one = bench.load.body_file("bench-w-1024")
    keys = bodies = None
    if dimension == "keys":
        pick = random.Random(1)
        numbers = [pick.randrange(size) for _ in range(min(size, 10_000))]
        keys = {"hot": bench.load.lines_file(f"{fleet.name}-hot", [fleet.key(n) for n in range(10)]),
                "spread": bench.load.lines_file(f"{fleet.name}-spread", [fleet.key(n) for n in numbers])}
    if dimension == "models":
        bodies = {"hot": bench.load.lines_file(f"{fleet.name}-hot", [request_body(f"vendor/model-{n}") for n in range(10)]),
                  "spread": bench.load.lines_file(f"{fleet.name}-spread", [request_body(f"vendor/model-{n}") for n in range(size)])}
    for spread in ("hot", "spread") if keys or bodies else ("hot",):
        body = bodies[spread] if bodies else one
        key = keys[spread] if keys else None
        options = {"connections": 64, "seconds": bench.seconds(3, 1)}
        if round_number == 0:
            bench.load.run(fleet, "closed", body, keys=key, **options)
        result = bench.load.run(fleet, "closed", body, keys=key, **options)
        more = {}
        if dimension == "rows":
            more = reads(fleet)
        bench.row("growth", fleet.name, dimension=dimension, size=size, state=spread, round=round_number,
                  rps=round(result["ok"] / result["seconds"], 1), **figures(result), **quantiles(result["latency"]),
                  rss_kb=machine.memory_kb(fleet.pid)["rss_kb"], **more)


def reads(fleet):
    """Milliseconds of what an administrator looks at."""
    import time

    from .ours import ACCESS
    took = {}
    for name, path in (("log_page", "/api/log?page=1&size=20"), ("transactions_page", "/api/balance/transactions?page=1&size=20"),
                       ("log_stat", "/api/log/stat")):
        began = time.monotonic()
        status, _ = http("GET", fleet.url(path), headers={"Authorization": f"Bearer {ACCESS}"}, timeout=120)
        took[f"{name}_ms"] = round((time.monotonic() - began) * 1000, 1) if status == 200 else None
    return took
