"""Whole answers: what a request costs, what it adds, and how that grows with the size of bodies."""

from .load import figures, quantiles


def requests(bench):
    """CPU per request, requests per second and latency at 1, 16, 64 and 256 connections, a kilobyte each way."""
    body = bench.load.body_file("bench-w-1024")
    members = bench.gateways()
    connections = (1, 64) if bench.quick else (1, 16, 64, 256)
    for gateway in members:
        bench.load.warm(gateway, body, 16, 0.5 if bench.quick else 2)
    for turn in range(bench.rounds):
        for count in connections:
            for gateway in members:
                seconds = bench.seconds(3, 1)
                bench.load.warm(gateway, body, count, 0.2)
                result = bench.load.run(gateway, "closed", body, connections=count, seconds=seconds, buckets=True)
                bench.row("requests", gateway, round=turn, connections=count, rps=round_rate(result), **figures(result),
                          **quantiles(result["latency"]), latency=result["latency"])


def round_rate(result):
    return round(result["ok"] / result["seconds"], 1)


def added(bench):
    """Added latency at one connection: direct and through the gateway, request by request in turn, so that noise hits both alike."""
    body = bench.load.body_file("bench-w-1024")
    members = bench.gateways(skip=("direct",))
    for turn in range(bench.rounds):
        for gateway in members:
            seconds = bench.seconds(4, 1)
            before = own_overhead(gateway)
            result = bench.load.run(gateway, "paired", body, port=(bench.upstream_port, gateway.port), seconds=seconds, buckets=True)
            direct, through = result["first"], result["second"]
            bench.row("added", gateway, round=turn, pairs=through["n"], added_p50=round_to(through["p50"] - direct["p50"]),
                      added_p99=round_to(through["p99"] - direct["p99"]), difference_p50=result["difference_p50"], direct_p50=direct["p50"],
                      direct_p99=direct["p99"], p50=through["p50"], p99=through["p99"], broken=result["broken"], not_ok=result["not_ok"],
                      foreign=result["foreign"], own_overhead_us=own_mean(before, own_overhead(gateway)),
                      added_mean=round_to(through["mean"] - direct["mean"]), latency=through, direct_latency=direct)


def own_overhead(gateway):
    return gateway.own_overhead() if hasattr(gateway, "own_overhead") else None


def own_mean(before, after):
    """Microseconds that the gateway itself says it added, on average between two looks at its histogram; None where it does not say."""
    if not before or None in before or None in after or after[1] == before[1]:
        return None
    return round((after[0] - before[0]) / (after[1] - before[1]) * 1e6, 1)


def round_to(value):
    return round(value, 2)


def bodies(bench):
    """Requests and answers of 200 bytes to a megabyte."""
    sizes = (200, 20_000, 1_000_000) if bench.quick else (200, 2_000, 20_000, 200_000, 1_000_000)
    members = bench.gateways()
    for turn in range(bench.rounds):
        for size in sizes:
            for direction in ("request", "answer") if not bench.quick or size == sizes[-1] else ("request",):
                model, length = ("bench-w-1024", size) if direction == "request" else (f"bench-w-{size}", 200)
                body = bench.load.body_file(model, length)
                for gateway in members:
                    if gateway.slow and bench.quick and size > 20_000:
                        continue
                    seconds = bench.seconds(1.5, 0.4)
                    bench.load.warm(gateway, body, 16, 0.2)
                    result = bench.load.run(gateway, "closed", body, connections=16, seconds=seconds)
                    bench.row("bodies", gateway, round=turn, size=size, direction=direction, connections=16, rps=round_rate(result),
                              **figures(result), **quantiles(result["latency"]))


def check(bench):
    """The upstream and the load are not what is measured: the upstream alone, by our load and by wrk, with their own CPU."""
    import re
    import subprocess
    body = bench.load.body_file("bench-w-1024")
    text = open(body).read().strip()
    direct = bench.gateway("direct")
    lua = bench.load.lines_file("wrk.lua", [
        'wrk.method = "POST"', 'wrk.headers["Content-Type"] = "application/json"', "wrk.body = [[" + text + "]]"])
    for turn in range(bench.rounds):
        seconds = bench.seconds(3, 1)
        for count in (1, 64):
            result = bench.load.run(direct, "closed", body, connections=count, seconds=seconds)
            bench.row("check", "direct", round=turn, by="load", connections=count, rps=round_rate(result), **figures(result),
                      **quantiles(result["latency"]))
            done = subprocess.run(["taskset", "-c", str(bench.load_core), "wrk", "-t1", f"-c{count}", f"-d{max(1, int(seconds))}s", "-s", lua,
                                   f"http://127.0.0.1:{direct.port}/v1/chat/completions"], capture_output=True, text=True)
            found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
            bench.row("check", "direct", round=turn, by="wrk", connections=count, rps=float(found.group(1)) if found else 0)
