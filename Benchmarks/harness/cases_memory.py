"""Memory: idle, under load, with many open streams, and after; and what comes back when thousands of streams are dropped."""

import threading
import time

from . import machine, tools
from .processes import http


def memory(bench):
    """Each gateway freshly started and alone. RSS and PSS of its whole process tree."""
    for name in bench.options.gateways:
        if name == "direct":
            continue
        bench.retire(name)
        gateway = bench.gateway(name)
        if gateway:
            measure(bench, gateway)
            bench.retire(name)


def measure(bench, gateway):
    def note(state, **more):
        bench.row("memory", gateway, state=state, **machine.memory_kb(gateway.pid), descriptors=machine.descriptors(gateway.pid),
                  threads=machine.threads(gateway.pid), **more)

    pause = bench.seconds(5, 1)
    spent = gateway.cpu_ns()
    time.sleep(pause)
    note("idle", idle_cpu_ms_per_s=round((gateway.cpu_ns() - spent) / 1e6 / pause, 2))

    body = bench.load.body_file("bench-w-1024")
    peak, done = {"rss_kb": 0, "pss_kb": 0}, threading.Event()

    def watch():
        while not done.wait(0.2):
            seen = machine.memory_kb(gateway.pid)
            for key in peak:
                peak[key] = max(peak[key], seen[key])
    watcher = threading.Thread(target=watch)
    watcher.start()
    bench.load.warm(gateway, body, 64, bench.seconds(8, 1))
    done.set()
    watcher.join()
    bench.row("memory", gateway, state="load", **peak)
    for count in (1000, 5000):
        if count > gateway.max_streams:
            continue
        opened = open_streams(bench, gateway, count)
        note(f"streams-{count}", open=opened["open"])
        opened["load"].stop()
    wait = bench.seconds(60, 3)
    time.sleep(wait)
    note("after", waited=wait)


def open_streams(bench, gateway, count, pace=1000):
    """Opens so many streams and returns when each has had its first chunk, or after a minute."""
    body = bench.load.body_file(f"bench-s-3600-{pace}-220", 1024, stream=True)
    load = bench.load.start(gateway.port, "streams", body, connections=count, hold=True, ramp=max(1, count / 1000), stall=30)
    ready = load.ready()
    # A second more, so that each stream has had chunks in both directions.
    time.sleep(1.2)
    return {"load": load, "open": ready}


def drop(bench):
    """5,000 streams opened and dropped at once, three times: when descriptors, threads and memory are back, and whether the upstream was let go."""
    count = 1000 if bench.quick else 5000
    for gateway in bench.gateways(skip=("direct",), quick_only=("nginx", "apirouter")):
        if gateway.slow:
            continue
        body = bench.load.body_file("bench-w-1024")
        bench.load.warm(gateway, body, 64, 1)
        time.sleep(1)
        for turn in range(1 if bench.quick else bench.rounds):
            drop_once(bench, gateway, turn, min(count, gateway.max_streams))


def state_of(bench, gateway):
    upstream = bench.upstream_stats()
    return {"descriptors": machine.descriptors(gateway.pid), "threads": machine.threads(gateway.pid),
            "rss_kb": machine.memory_kb(gateway.pid)["rss_kb"], "upstream_streams": upstream["open_streams"]}


def drop_once(bench, gateway, round_number, count):
    before = state_of(bench, gateway)
    opened = open_streams(bench, gateway, count)
    full = state_of(bench, gateway)
    began = time.monotonic()
    opened["load"].vanish()
    series, back, let_go = [], None, None
    while time.monotonic() - began < 10:
        now = state_of(bench, gateway)
        at = round(time.monotonic() - began, 2)
        series.append([at, now["descriptors"], now["threads"], now["rss_kb"], now["upstream_streams"]])
        # Idle connections to the upstream are kept on purpose by all of them: 600 descriptors are not a leak.
        if back is None and now["descriptors"] <= before["descriptors"] + 600:
            back = at
        if let_go is None and now["upstream_streams"] == 0:
            let_go = at
        if back is not None and let_go is not None and at > 2:
            break
        time.sleep(0.1)
    metrics = {}
    if hasattr(gateway, "metric"):
        metrics = {name: gateway.metric(f"apirouter_{name}") for name in ("open_holds", "client_connections", "channel_in_flight")}
    last = state_of(bench, gateway)
    bench.row("drop", gateway, round=round_number, streams=opened["open"], descriptors_before=before["descriptors"],
              descriptors_open=full["descriptors"], descriptors_after=last["descriptors"], descriptors_back_s=back, upstream_let_go_s=let_go,
              threads_before=before["threads"], threads_after=last["threads"], rss_kb_before=before["rss_kb"], rss_kb_open=full["rss_kb"],
              rss_kb_after=last["rss_kb"], series=series, **metrics)


def soak(bench):
    """Ours, governed, at 70 % of what it can do, for as long as was asked: whole answers and streams; memory every five seconds."""
    minutes = bench.options.soak
    # A fresh one: what earlier cases have left in its memory is not the soak's.
    bench.retire("apirouter")
    gateway = bench.gateway("apirouter")
    if not gateway or not minutes:
        return
    from .load import request_body
    mix = bench.load.lines_file("soak", [request_body("bench-w-1024", 1024)] * 8 + [request_body("bench-w-4096", 20_000)]
                                + [request_body("bench-s-50-5-220", 1024, True)])
    capacity = bench.load.run(gateway, "closed", mix, connections=64, seconds=bench.seconds(5, 2))
    rate = 0.7 * capacity["ok"] / capacity["seconds"]
    bench.row("soak", gateway, state="begin", rate=round(rate, 1), minutes=minutes, **machine.memory_kb(gateway.pid))
    load = bench.load.start(gateway.port, "open", mix, connections=2000, phases=f"{rate}:{minutes * 60}")
    began = time.monotonic()
    while load.child.poll() is None:
        time.sleep(5)
        at = round(time.monotonic() - began)
        if at < minutes * 60:
            bench.row("soak", gateway, state="sample", second=at, **machine.memory_kb(gateway.pid), descriptors=machine.descriptors(gateway.pid),
                      journal_bytes=gateway.metric("apirouter_journal_bytes"), unposted=gateway.metric("apirouter_unposted_records"))
    result = load.stop()
    gateway.settled()
    phase = result["phases"][0]
    bench.row("soak", gateway, state="end", asked=phase["asked"], ok=phase["ok"], refused=phase["refused"], failed=phase["failed"],
              p50=phase["latency"]["p50"], p99=phase["latency"]["p99"], series=result["series"], **machine.memory_kb(gateway.pid))
    bench.retire("apirouter")
    good, words = gateway.verify()
    bench.row("soak", gateway, state="ledger", adds_up=good, words=words)
    if not good:
        tools.say("the ledger does not add up after the soak")
