"""Further parts of a report: company, drops, memory, growth, soak."""

from . import svg
from .rows import table


def number(value, form="{:,.0f}"):
    return "–" if value is None else form.format(value)


def neighbours(results, plots):
    names = results.gateways("neighbours")
    if not names:
        return ""
    text = ("## Small streams in company\n\nFifty streams of a chunk each 20 ms, alone and beside: 100 clients that take 20 KB a second of endless streams; 500 calls that the "
            "upstream answers after 20 s; twenty bodies of 450 KB (100,000 tokens) a second. Delay of their chunks, µs. `direct` is the control: what of it is load and "
            "upstream sharing a core.\n\n")
    rows = []
    for (beside,) in results.distinct("neighbours", "beside"):
        for name in names:
            same = dict(gateway=name, beside=beside)
            cells = [results.spread("neighbours", f"delay_{q}", "{:,.0f}", **same) for q in ("p50", "p99", "p999", "max")]
            stalled, lost = sum(results.values("neighbours", "stalled", **same)), sum(results.values("neighbours", "broken", **same))
            rows.append([f"{beside}, {name}"] + cells + [results.spread("neighbours", "first_p99", "{:,.0f}", **same), stalled + lost])
    return text + table(["beside, gateway", "delay p50", "p99", "p99.9", "most", "first chunk p99", "lost or stalled"], rows) + "\n"


def drop(results, plots):
    names = results.gateways("drop")
    if not names:
        return ""
    text = ("## Streams dropped at once\n\nAll client connections vanish; sampled each tenth of a second. Descriptors count as back when at most 600 more are open than before "
            "(idle connections to the upstream are kept on purpose).\n\n")
    rows = []
    for name in names:
        s = lambda column, form="{:,.0f}": results.spread("drop", column, form, gateway=name)
        missed = sum(row["descriptors_back_s"] is None or row["upstream_let_go_s"] is None for row in results.of("drop", gateway=name))
        mb = lambda column: number((lambda v: v and v / 1024)(results.median("drop", column, gateway=name)))
        last = results.of("drop", gateway=name)[-1]
        rows.append([name, s("streams"), s("descriptors_before"), s("descriptors_open"), s("descriptors_after"), s("descriptors_back_s", "{:.1f}"),
                     s("upstream_let_go_s", "{:.1f}"), missed, f"{mb('rss_kb_before')} → {mb('rss_kb_open')} → {mb('rss_kb_after')}",
                     number(last["rss_kb_after"] / 1024), number(last.get("open_holds"))])
    return text + table(["gateway", "streams", "descriptors before", "open", "after", "back after s", "upstream let go after s", "not within 10 s", "RSS MB before → open → after",
                         "after the last drop", "holds left"], rows) + "\n"


def allocations(results, plots):
    names = results.gateways("allocations")
    if not names:
        return ""
    text = "## Allocations\n\nCounted in a gateway of its own (LD_PRELOAD); whatever else the process does meanwhile is in it, the poster included.\n\n"
    rows = []
    for (what,) in results.distinct("allocations", "what"):
        for name in names:
            same = dict(gateway=name, what=what)
            rows.append([f"{what}, {name}"] + [results.spread("allocations", c, f, **same) for c, f in (("allocations", "{:,.0f}"), ("bytes", "{:,.0f}"))])
    of = lambda name, chunks: results.median("allocations", "allocations", gateway=name, what=f"stream of {chunks} chunks")
    per_chunk = [[n, number((of(n, 500) - of(n, 50)) / 450, "{:.1f}")] for n in names if of(n, 500) is not None and of(n, 50) is not None]
    return text + table(["per", "allocations", "bytes"], rows) + "\n" + table(["per further chunk", "allocations"], per_chunk) + "\n"


def memory(results, plots):
    names = results.gateways("memory")
    if not names:
        return ""
    states = [s for (s,) in results.distinct("memory", "state")]
    text = "## Memory of the process tree: RSS (of that anonymous: heap and stacks, not program text) in MB\n\n"
    rows = []
    for name in names:
        cells = []
        for state in states:
            found = results.of("memory", gateway=name, state=state)
            short = found and found[-1].get("open") is not None and str(found[-1]["open"]) not in state
            cells.append("–" if not found else f"{found[-1]['rss_kb'] / 1024:,.0f} ({found[-1].get('anonymous_kb', 0) / 1024:,.0f})"
                         + (f", only {found[-1]['open']} opened" if short else ""))
        idle = results.median("memory", "idle_cpu_ms_per_s", gateway=name)
        rows.append([name] + cells + [number(idle, "{:.1f}")])
    waited = results.median("memory", "waited")
    head = [f"{waited:g} s after" if s == "after" and waited else s.replace("streams-", "") + (" streams" if s.startswith("streams") else "") for s in states]
    plots["memory.svg"] = svg.bars("Memory (RSS)", "MB", {h: {n: (lambda v: v and v / 1024)(results.median("memory", "rss_kb", gateway=n, state=s)) for n in names}
                                                         for h, s in zip(head, states)})
    return text + table(["gateway"] + head + ["idle CPU ms/s"], rows) + "\n![Memory](memory.svg)\n\n"


def growth(results, plots):
    dimensions = [d for (d,) in results.distinct("growth", "dimension")]
    if not dimensions:
        return ""
    text = "## Growth\n\nThe governed gateway; CPU µs per request at 64 connections. `hot`: ten keys or models again and again; `spread`: ten thousand at random.\n\n"
    for dimension in dimensions:
        rows, lines = [], {}
        for (size,) in results.distinct("growth", "size", dimension=dimension):
            same = dict(dimension=dimension, size=size)
            g = lambda column, state, form="{:,.0f}": results.spread("growth", column, form, state=state, **same)
            failed = results.of("growth", state="failed", **same)
            if failed:
                rows.append([f"{size:,}", f"did not start: {failed[0]['reason'][:120]}"] + ["–"] * 5)
                continue
            for state in ("hot", "spread"):
                value = results.median("growth", "cpu_us", state=state, **same)
                if value is not None:
                    lines.setdefault(state, []).append((max(1, size), value))
            more = [g("log_page_ms", "hot", "{:.0f}"), g("transactions_page_ms", "hot", "{:.0f}")] if dimension == "rows" else \
                [g("cpu_us", "spread", "{:,.1f}"), number((lambda v: v and v / 1024)(results.median("growth", "rss_kb", state="hot", **same)))]
            rows.append([f"{size:,}", g("cpu_us", "hot", "{:,.1f}"), g("p50", "hot"), g("p99", "hot"), *more, g("startup_s", "started", "{:.2f}"),
                         {True: "yes", False: "**no**"}.get(next((r["adds_up"] for r in results.of("growth", state="ledger", **same)), None), "–")])
        extra = ["log page ms", "transactions page ms"] if dimension == "rows" else ["CPU µs, spread", "RSS MB"]
        text += table([dimension, "CPU µs, hot", "p50 µs", "p99 µs", *extra, "start-up s", "ledger adds up"], rows) + "\n"
        plots[f"growth-{dimension}.svg"] = svg.lines(f"CPU per request by number of {dimension}", dimension, "µs", lines, log_x=True)
        text += f"![Growth with {dimension}](growth-{dimension}.svg)\n\n"
    return text


def soak(results, plots):
    samples = results.of("soak", state="sample")
    if not samples:
        return ""
    end = (results.of("soak", state="end") or [{}])[0]
    begin = results.of("soak", state="begin")[0]
    ledger = (results.of("soak", state="ledger") or [{}])[0]
    late = [(row["second"], row["rss_kb"] / 1024) for row in samples if row["second"] >= samples[-1]["second"] / 2]
    plots["soak.svg"] = svg.lines("Memory while soaking", "seconds", "MB", {"RSS": [(r["second"], r["rss_kb"] / 1024) for r in samples],
                                                                           "PSS": [(r["second"], r["pss_kb"] / 1024) for r in samples]})
    return (f"## Soak\n\n{begin['minutes']:g} minutes at {begin['rate']:,.0f} requests/s (70 % of capacity; whole answers, streams, 20 KB bodies): {end.get('asked', 0):,} asked, "
            f"{end.get('refused', 0)} refused, {end.get('failed', 0)} failed; p50 {number(end.get('p50'))} µs, p99 {number(end.get('p99'))} µs (a tenth are streams, which last 250 ms). "
            f"Memory {begin['rss_kb'] / 1024:,.0f} MB at the start, {samples[-1]['rss_kb'] / 1024:,.0f} MB at the end; over the second half "
            f"{slope(late) * 60:+.2f} MB a minute. The ledger adds up: {'yes' if ledger.get('adds_up') else '**no**'} ({ledger.get('words', '–')}).\n\n"
            "![Memory while soaking](soak.svg)\n\n")


def slope(points):
    """Least squares, per unit of x."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def profile(results, plots):
    """Where the time goes."""
    rows = [[row["what"], f"{row['samples']:,}", ", ".join(f"{name} {share:.0%}" for name, share in row["layers"].items()),
             ", ".join(f"{name} {share:.0%}" for name, share in row["threads"].items()), f"[{row['file']}]({row['file']})"]
            for row in results.of("profile")]
    if not rows:
        return ""
    return ("## Where the time goes\n\nSamples of the governed gateway at 64 connections and with a hundred streams of a chunk each 10 ms, by whose code the processor was in. "
            "The stacks are in the file, one a line with its count.\n\n" + table(["load", "samples", "code", "threads", "stacks"], rows) + "\n")


def transports(results, plots):
    """Our transport beside libcurl's."""
    rows = []
    for model, connections, unit, security in results.distinct("transports", "model", "connections", "unit", "security"):
        same = dict(model=model, connections=connections, security=security)
        nio, curl = (results.median("transports", "cpu_us", gateway=kind, **same) for kind in ("nio", "curl"))
        rows.append([f"{security}, {model}, {connections} at once, per {'call' if unit == 'calls' else 'piece'}"]
                    + [results.spread("transports", "cpu_us", "{:,.1f}", gateway=kind, **same) for kind in ("nio", "curl")]
                    + [number(nio and curl and 1 - nio / curl, "{:.0%}")])
    if not rows:
        return ""
    return ("## Upstream calls: our transport and libcurl\n\nThe transports alone, in a process of their own on the gateway's core (`microbench transport`), a caller for each "
            "call at once, callers included. TLS: nginx with a certificate before the upstream, HTTP/1.1. The issue asked for a third less CPU.\n\n"
            + table(["CPU µs", "SwiftNIO on the caller's loop", "libcurl on its thread", "less by"], rows) + "\n")
