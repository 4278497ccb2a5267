"""Streams: what a chunk costs, how late the first and each further one comes, and whether all of them come."""

from .load import figures, quantiles

CHUNK = 220

# streams at once, chunks of each, milliseconds between them, seconds of load. 5,000 streams get a chunk each half second: 10,000 chunks a
# second, as the smaller numbers of streams; at 100 ms it would be more than nginx can do on one core.
FULL = [(200, 50, 0, 3), (200, 500, 0, 3), (100, 50, 10, 3), (200, 50, 10, 3), (200, 500, 10, 5), (1000, 25, 100, 3), (5000, 10, 500, 5)]
QUICK = [(200, 50, 0, 1), (100, 50, 10, 1), (1000, 10, 100, 1), (5000, 8, 500, 1)]
# LiteLLM does some five hundred chunks a second: shapes that it can carry, and who is compared with it there.
SLOW = [(20, 50, 0, 3), (20, 50, 100, 5), (200, 50, 100, 5)]
BESIDE_SLOW = ("direct", "nginx", "apirouter")


def streams(bench):
    members = bench.gateways()
    quick_ones = [gateway for gateway in members if not gateway.slow]
    slow_ones = [gateway for gateway in members if gateway.slow]
    beside = [gateway for gateway in members if gateway.name in BESIDE_SLOW]
    for turn in range(bench.rounds):
        for shape in QUICK if bench.quick else FULL:
            if bench.quick and turn and shape[0] == 5000:
                continue
            for gateway in quick_ones:
                one(bench, gateway, turn, *shape)
        if slow_ones:
            for shape in [(20, 10, 100, 1)] if bench.quick else SLOW:
                for gateway in beside + slow_ones:
                    one(bench, gateway, turn, *shape)


def one(bench, gateway, round_number, streams, chunks, pace, seconds):
    body = bench.load.body_file(f"bench-s-{chunks}-{pace}-{CHUNK}", 1024, stream=True)
    # Paced streams begin spread over one stream's length, so that their chunks do not all fall due together.
    ramp = max(0.2, chunks * pace / 1000) if pace else 0
    result = bench.load.run(gateway, "streams", body, connections=streams, seconds=max(seconds, ramp), ramp=ramp, stall=15, buckets=True)
    row = figures(result, per="chunks")
    asked, ended = result["asked"], result["completed"]
    refused = sum(n for status, n in result["status"].items() if status != "200")
    bench.row("streams", gateway, round=round_number, streams=streams, chunks=chunks, pace_ms=pace, asked=asked, completed=ended,
              refused=refused, lost=asked - ended - refused, stalled=result["stalled"], chunks_seen=result["chunks"], chunks_missing=ended * chunks - result["chunks"] if asked == ended + refused else None,
              chunks_per_second=round(result["chunks"] / result["seconds"]), **row, **quantiles(result["first_chunk"], "first_"),
              **quantiles(result["delay"], "delay_"), first_chunk=result["first_chunk"], delay=result["delay"])
