"""The parts of a report, each from the rows of its case; a case that was not run leaves no trace but in the list of cases."""

import os

from . import svg
from .goals import goals
from .rows import exceedance, table
from .sections_more import allocations, drop, growth, memory, neighbours, profile, soak, transports


def number(value, form="{:,.0f}"):
    return "–" if value is None else form.format(value)


def ratio(value, base):
    return "–" if not value or not base else f"{value / base:.2f}" if value / base < 100 else f"{value / base:,.0f}"


def began(header):
    changed = " with uncommitted changes" if header["uncommitted"] else ""
    return (f"{header['began']}, commit `{header['commit'][:10]}` of {header['commit_date'][:10]}{changed} "
            f"(`{header['build']}`, program {header['program']['sha256']})")


def heading(results, name):
    h = results.header
    quiet = "" if h["quiet"] else (f"**The machine was busy** ({h['busy_before']:.0%} used by others, load average {h['load_before']}): these rows show that the harness "
                                   "works and are no figures of anything.\n\n")
    unfinished = "" if results.ended is not None else "**The run was not finished.**\n\n"
    quick = " Quick run: short measurements." if h["quick"] else ""
    rows = [[n, s["version"], s["setup"]] for n, s in results.setups.items()]
    text = f"# {name}\n\n{quiet}{unfinished}"
    for sitting, cases in results.sittings if len(results.sittings) > 1 else []:
        text += f"- {', '.join(c for c in cases if c in results.cases_of(sitting))}: {began(sitting)}, {sitting['rounds']} round{'s' if sitting['rounds'] > 1 else ''}\n"
    text += "\n" if len(results.sittings) > 1 else f"{began(h)}, "
    text += (f"{h['cores']} cores {h['cpu']}, {h['memory_mb'] // 1024} GB, {h['system']}, "
             f"Linux {h['kernel']}, {h['swift']}.\n\n"
             f"{'Interleaved rounds' if len(results.sittings) > 1 else str(h['rounds']) + ' interleaved rounds'}, medians with least and most in brackets. Gateways on core {h['gateway_core']}, load and upstream on core "
             f"{h['load_core']}.{quick} Compare rows of one run; do not quote absolutes.\n\n")
    text += table(["gateway", "version", "set up as"], rows) + "\n"
    for gateway, reason in results.unavailable.items():
        text += f"**{gateway}** could not be run here: {reason}\n\n"
    foreign = sorted(row["foreign"] for row in results.rows if row.get("foreign") is not None)
    if foreign:
        noisy = sum(f > 0.05 for f in foreign)
        text += (f"Noise: in the median measurement other processes took {foreign[len(foreign) // 2]:.1%} of the machine; "
                 f"{noisy} of {len(foreign)} measurements saw more than 5 %.\n\n")
    return text


def check(results, plots):
    if not results.of("check"):
        return ""
    text = "## The upstream and the load are not what is measured\n\n"
    rows = []
    for by, connections in sorted(results.distinct("check", "by", "connections")):
        same = dict(by=by, connections=connections)
        rows.append([f"{by}, {connections}", results.spread("check", "rps", "{:,.0f}", **same), results.spread("check", "upstream_cpu_us", "{:.1f}", **same),
                     results.spread("check", "load_cpu_us", "{:.1f}", **same)])
    return text + table(["asked directly by, connections", "requests/s", "upstream CPU µs", "load CPU µs"], rows) + "\n"


def requests(results, plots):
    names = results.gateways("requests")
    if not names:
        return ""
    counts = sorted({c for (c,) in results.distinct("requests", "connections")})
    most = 64 if 64 in counts else counts[-1]
    nginx = results.median("requests", "cpu_us", gateway="nginx", connections=most)
    cpu = lambda name, c: results.median("requests", "cpu_us", gateway=name, connections=c)
    text = f"## A request: 1 KB each way\n\nCPU of the gateway's process tree per request; ratios at {most} connections.\n\n"
    rows = []
    for name in names:
        if name == "direct":
            continue
        rows.append([name] + [results.spread("requests", "cpu_us", "{:,.1f}", gateway=name, connections=c) for c in counts]
                    + [ratio(cpu(name, most), nginx), bad(results, "requests", name)])
    text += table(["CPU µs per request"] + [f"{c} conn." for c in counts] + ["× nginx", "bad answers"], rows) + "\n"
    rows = []
    for name in names:
        cells = [results.spread("requests", "rps", "{:,.0f}", gateway=name, connections=c) for c in counts]
        busy = results.median("requests", "gateway_core_busy", gateway=name, connections=most)
        load = results.median("requests", "load_core_busy", gateway=name, connections=most)
        rows.append([name] + cells + [number(busy, "{:.0%}"), number(load, "{:.0%}")])
    text += table(["requests/s"] + [f"{c} conn." for c in counts] + [f"gateway core busy at {most}", f"load core busy at {most}"], rows)
    text += "\nWhere the load's core is the busy one, requests/s are not the gateway's limit.\n\n"
    rows = [[name] + [f"{number(results.median('requests', 'p50', gateway=name, connections=c))} / "
                      f"{number(results.median('requests', 'p99', gateway=name, connections=c))}" for c in counts] for name in names]
    text += table(["latency p50 / p99 µs"] + [f"{c} conn." for c in counts], rows) + "\n"
    plots["cpu.svg"] = svg.bars("CPU per request, 1 KB each way", "µs (logarithmic)",
                                {f"{c} connections": {n: cpu(n, c) for n in names if n != "direct"} for c in counts}, log_y=True)
    plots["latency.svg"] = svg.lines(f"Latency at {most} connections", "share of requests that took longer", "µs",
                                     {n: [(share, value) for value, share in exceedance(results.merged("requests", "latency", gateway=n, connections=most))]
                                      for n in names}, log_x=True, log_y=True)
    return text + "![CPU per request](cpu.svg)\n\n![Latency](latency.svg)\n\n"


def bad(results, case, name):
    return sum(row["not_ok"] + row["broken"] for row in results.of(case, gateway=name))


def added(results, plots):
    names = results.gateways("added")
    if not names:
        return ""
    base = results.median("added", "added_p50", gateway="nginx")
    rows = []
    for name in names:
        rows.append([name, results.spread("added", "added_p50", "{:,.0f}", gateway=name), ratio(results.median("added", "added_p50", gateway=name), base),
                     results.spread("added", "difference_p50", "{:,.0f}", gateway=name), results.spread("added", "added_p99", "{:,.0f}", gateway=name),
                     results.spread("added", "direct_p50", "{:,.0f}", gateway=name),
                     results.spread("added", "added_mean", "{:,.0f}", gateway=name), results.spread("added", "own_overhead_us", "{:,.0f}", gateway=name)])
    text = ("## What is added at one connection\n\nA direct call and one through the gateway in turn, so that noise hits both alike; µs. The first column subtracts the "
            "medians, the third is the median of the differences of the pairs. The last column is what the gateway says of itself in `/metrics`: it cannot see the "
            "kernel's part, nor the wake-ups of its own thread.\n\n")
    text += table(["gateway", "added p50", "× nginx", "median of differences", "added p99", "direct p50", "added mean", "mean by its own histogram"], rows) + "\n"
    plots["added.svg"] = svg.lines("Latency at one connection", "share of requests that took longer", "µs",
                                   {n: [(share, value) for value, share in exceedance(results.merged("added", "latency", gateway=n))] for n in names},
                                   log_x=True, log_y=True)
    return text + "![Latency at one connection](added.svg)\n\n"


def bodies(results, plots):
    names = [n for n in results.gateways("bodies") if n != "direct"]
    if not names:
        return ""
    text = "## Bodies: CPU µs per request at 16 connections\n\n"
    for direction in ("request", "answer"):
        sizes = sorted({s for (s,) in results.distinct("bodies", "size", direction=direction)})
        if not sizes:
            continue
        cpu = lambda n, s: results.median("bodies", "cpu_us", gateway=n, size=s, direction=direction)
        rows = [[n] + [results.spread("bodies", "cpu_us", "{:,.0f}", gateway=n, size=s, direction=direction) for s in sizes]
                + [per_kb(cpu(n, sizes[-1]), cpu(n, sizes[0]), sizes)] for n in names]
        text += table([f"{direction} of"] + [svg.short(s) + "B" for s in sizes] + ["µs per further KB"], rows) + "\n"
        plots[f"bodies-{direction}.svg"] = svg.lines(f"CPU by size of the {direction}", "bytes", "µs",
                                                    {n: [(s, cpu(n, s)) for s in sizes] for n in names}, log_x=True, log_y=True)
        text += f"![CPU by size of the {direction}](bodies-{direction}.svg)\n\n"
    return text


def per_kb(large, small, sizes):
    return "–" if large is None or small is None or len(sizes) < 2 else f"{(large - small) / ((sizes[-1] - sizes[0]) / 1000):.2f}"


def streams(results, plots):
    shapes = results.distinct("streams", "streams", "chunks", "pace_ms")
    if not shapes:
        return ""
    text = ("## Streams: chunks of 220 bytes\n\nThe upstream writes the time into each chunk. First chunk: from sending the request, less direct's in the same run. "
            "Delay: from the upstream's write to the client's read. CPU is that of the whole stream, its request and its end included, divided by its chunks.\n\n")
    bar = {}
    for shape in shapes:
        same = dict(zip(("streams", "chunks", "pace_ms"), shape))
        count, chunks, pace = shape
        label = f"{count:,} × {chunks}, " + (f"every {pace} ms" if pace else "unpaced")
        nginx = results.median("streams", "cpu_us", gateway="nginx", **same)
        first = [results.median("streams", f"first_{q}", gateway="direct", **same) for q in ("p50", "p99")]
        rows = []
        for name in results.gateways("streams", **same):
            cpu = results.median("streams", "cpu_us", gateway=name, **same)
            extra = [results.median("streams", f"first_{q}", gateway=name, **same) for q in ("p50", "p99")]
            less = [number(e - f) if e is not None and f is not None else "–" for e, f in zip(extra, first)]
            lost, asked = (sum(results.values("streams", c, gateway=name, **same)) for c in ("lost", "asked"))
            missing = sum(results.values("streams", "chunks_missing", gateway=name, **same))
            rows.append([name, results.spread("streams", "cpu_us", "{:,.1f}", gateway=name, **same) if name != "direct" else "–", ratio(cpu, nginx),
                         results.spread("streams", "chunks_per_second", "{:,.0f}", gateway=name, **same), " / ".join(less),
                         f"{number(results.median('streams', 'delay_p50', gateway=name, **same))} / {number(results.median('streams', 'delay_p99', gateway=name, **same))}",
                         f"{lost} of {asked:,}", sum(results.values("streams", "refused", gateway=name, **same)), sum(results.values("streams", "stalled", gateway=name, **same)), missing])
            if name != "direct":
                bar.setdefault(label, {})[name] = cpu
        text += f"### {label}\n\n" + table(["gateway", "CPU µs per chunk", "× nginx", "chunks/s", "added to the first, p50 / p99 µs", "delay p50 / p99 µs",
                                            "streams lost", "refused", "stalled", "chunks missing"], rows) + "\n"
    fast = {label: {n: v for n, v in group.items() if not n.startswith("litellm")} for label, group in bar.items()}
    labels = [label.replace(", every ", "\n").replace(", ", "\n") for label in fast]
    plots["streams.svg"] = svg.bars("CPU per chunk: streams × chunks, pace", "µs", dict(zip(labels, fast.values())))
    return text + "![CPU per chunk](streams.svg)\n\n"


def open_loop(results, plots):
    names = results.gateways("open")
    if not names:
        return ""
    text = ("## Open-loop load\n\nRequests at random times at a part of the capacity (closed loop, 64 connections, measured just before); latency from the time at which a "
            "request was due, so waiting counts. After the overload half of the capacity again: seconds until no second's p99 exceeds 50 ms.\n\n")
    rows = []
    for name in names:
        for (level,) in results.distinct("open", "level"):
            same = dict(gateway=name, level=level)
            m = lambda column: results.median("open", column, **same)
            asked = sum(results.values("open", "asked", **same))
            share = lambda column: f"{100 * sum(results.values('open', column, **same)) / max(1, asked):.2f}"
            rows.append([f"{name}, {level:.0%}", number(m("rate")), number(m("p50")), number(m("p90")), number(m("p99")), number(m("p999")), number(m("max")),
                         share("refused"), share("failed"), number(m("refused_p99")) if m("refused_p99") else "–", number(m("recovered_s"))])
    text += table(["gateway, load", "requests/s", "p50 µs", "p90", "p99", "p99.9", "most", "refused %", "failed %", "p99 of refusals µs", "recovered after s"],
                  rows) + "\n"
    for name in names:
        if not name.startswith("apirouter") and name != "nginx":
            continue
        plots[f"open-{name}.svg"] = svg.lines(f"{name}: latency at a part of its capacity", "share of requests that took longer", "µs",
            {f"{level:.0%}": [(s, v) for v, s in exceedance(results.merged("open", "latency", gateway=name, level=level))]
             for (level,) in results.distinct("open", "level", gateway=name)}, log_x=True, log_y=True)
        text += f"![{name}](open-{name}.svg)\n\n"
    return text


def summary(results, name):
    """What stands in Benchmarks/README.md."""
    text = heading(results, f"Latest run: {name}").replace("# ", "## ", 1)
    files = ", ".join(f"`results/{os.path.basename(path)}`" for path in results.paths)
    return text + f"Everything, with plots: [results/{name}/report.md](results/{name}/report.md); rows: {files}.\n\n" + goals(results, {})


ALL = [goals, check, requests, added, bodies, streams, open_loop, neighbours, drop, profile, transports, allocations, memory, growth, soak]
