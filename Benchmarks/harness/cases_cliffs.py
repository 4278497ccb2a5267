"""No cliffs: open-loop load around and above capacity, overload and recovery, and small streams beside slow and large company."""

import time

from .load import figures, quantiles

LEVELS = (0.5, 0.8, 0.95, 1.2)


def open_loop(bench):
    """Requests at random times at a part of the capacity that was measured just before; latency from when a request was due."""
    body = bench.load.body_file("bench-w-1024")
    members = bench.gateways(only=("direct", "nginx", "apirouter-off", "apirouter", "vllm-router", "litellm"), quick_only=("direct", "nginx", "apirouter"))
    for gateway in members:
        bench.load.warm(gateway, body, 64, bench.seconds(2, 0.5))
    for turn in range(bench.rounds):
        for gateway in members:
            closed = bench.load.run(gateway, "closed", body, connections=64, seconds=bench.seconds(3, 1))
            capacity = closed["ok"] / closed["seconds"]
            for level in (0.8, 1.2) if bench.quick else LEVELS:
                phases = f"{capacity * level:.1f}:{bench.seconds(5, 1.5)}"
                if level > 1:
                    # After the overload, half of the capacity again: how soon is it as before?
                    phases += f",{capacity * 0.5:.1f}:{bench.seconds(3, 2)}"
                result = bench.load.run(gateway, "open", body, connections=2048, phases=phases, buckets=True)
                first = result["phases"][0]
                more = recovery(result, bench) if level > 1 else {}
                bench.row("open", gateway, round=turn, level=level, capacity=round(capacity, 1), rate=first["rate"], asked=first["asked"],
                          answered=first["ok"], refused=first["refused"], failed=first["failed"], not_sent=first["not_sent"],
                          statuses=result["status"], retry_after=result["retry_after"], refused_p50=result["refused"]["p50"],
                          refused_p99=result["refused"]["p99"], **quantiles(first["latency"]), latency=first["latency"],
                          series=result["series"], **{k: v for k, v in figures(result).items() if k.endswith(("busy", "foreign", "cpu_us"))}, **more)


def recovery(result, bench):
    """Seconds after the end of the overload until the p99 of a second is below 50 ms for good."""
    begin = int(result["phases"][0]["seconds"])
    after = result["series"][begin:]
    late = [i for i, (ok, refused, p50, p99) in enumerate(after) if p99 > 50_000 or refused]
    return {"recovered_s": (late[-1] + 1 if late else 0), "recovery_p99": result["phases"][1]["latency"]["p99"],
            "recovery_failed": result["phases"][1]["failed"] + result["phases"][1]["refused"]}


def neighbours(bench):
    """Small paced streams alone, and beside slow clients, a slow upstream, bodies of 100,000 tokens. Direct is the control: what of it is the machine."""
    seconds = bench.seconds(6, 2)
    small = bench.load.body_file("bench-s-50-20-220", 1024, stream=True)
    company = {
        "alone": None,
        # A hundred clients that take 20 KB a second of streams that come as fast as they are taken.
        "slow clients": ("streams", bench.load.body_file("bench-s-5000-0-1000", 1024, stream=True),
                         {"connections": 100, "read_rate": 20_000, "hold": True, "stall": 600}),
        # Five hundred calls that the upstream answers after twenty seconds.
        "slow upstream": ("closed", bench.load.body_file("bench-w-1024-20000"), {"connections": 500, "hold": True}),
        # 100,000 tokens are about 450 KB; twenty a second.
        "large bodies": ("open", bench.load.body_file("bench-w-1024", 450_000), {"connections": 64, "phases": f"20:{seconds + 4}"}),
    }
    members = [gateway for gateway in bench.gateways(only=("direct", "nginx", "haproxy", "apirouter"), quick_only=("direct", "nginx", "apirouter"))
               if not gateway.slow]
    for turn in range(1 if bench.quick else bench.rounds):
        for name, other in company.items():
            for gateway in members:
                beside = bench.load.start(gateway.port, other[0], other[1], **other[2]) if other else None
                # Until the buffers of the slow ones are full.
                time.sleep(2)
                result = bench.load.run(gateway, "streams", small, connections=50, seconds=seconds, ramp=1, stall=15, buckets=True)
                if beside:
                    beside.stop()
                bench.row("neighbours", gateway, round=turn, beside=name, asked=result["asked"], completed=result["completed"],
                          stalled=result["stalled"], **figures(result, per="chunks"), **quantiles(result["first_chunk"], "first_"),
                          **quantiles(result["delay"], "delay_"), delay=result["delay"])
