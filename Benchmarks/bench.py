#!/usr/bin/env python3
"""The gateway beside its peers and the machine's limit, in one run: `make bench`, or with options `make bench ARGS="--quick --only requests"`.

Starts one fast upstream, then direct calls, nginx, haproxy, this gateway without and with its books, vllm-router, sglang-router and LiteLLM
before it; each gateway alone on core 1, load and upstream on core 0; interleaved and repeated. Rows go to Benchmarks/results/NAME.jsonl as
they are measured, tables and plots are made from them by Benchmarks/report.py.
"""

import argparse
import os
import signal
import sys
import time

from harness import cases_allocations, cases_cliffs, cases_growth, cases_memory, cases_profile, cases_requests, cases_streams, cases_transports, machine, tools
from harness.bench import GATEWAYS, NOT_BY_DEFAULT, Bench

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# In the order in which they run. Memory and growth start their gateways afresh, so they come last.
CASES = {
    "check": (cases_requests.check, "the upstream and the load are not the bottleneck"),
    "requests": (cases_requests.requests, "CPU per request, requests per second, 1 to 256 connections"),
    "added": (cases_requests.added, "added latency at one connection, paired"),
    "bodies": (cases_requests.bodies, "200 bytes to 1 MB, each way"),
    "sse": (cases_streams.streams, "CPU per chunk, first chunk, delay, lost streams; up to 5,000 streams"),
    "open": (cases_cliffs.open_loop, "open-loop load at 50, 80, 95, 120 % of capacity"),
    "neighbours": (cases_cliffs.neighbours, "small streams beside slow clients, a slow upstream, large bodies"),
    "drop": (cases_memory.drop, "5,000 streams dropped at once"),
    "profile": (cases_profile.profile, "where the time goes: sampled stacks, as data"),
    "transports": (cases_transports.transports, "an upstream call by our transport and by libcurl, plain and TLS"),
    "allocations": (cases_allocations.allocations, "allocations per request and per chunk"),
    "soak": (cases_memory.soak, "70 % load for --soak, with memory samples"),
    "memory": (cases_memory.memory, "idle, load, 1,000 and 5,000 streams, a minute after"),
    "growth": (cases_growth.growth, "10 to a million keys, 1,000 channels, 10,000 models, ten million ledger rows"),
}


def minutes(text):
    units = {"s": 1 / 60, "m": 1, "h": 60}
    try:
        return float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)
    except (ValueError, IndexError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m or 1h")


def chosen(kind, known, text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        sys.exit(f"unknown {kind}: {', '.join(unknown) or '(none)'}. Known: {', '.join(known)}")
    return [name for name in known if name in names]


def arguments():
    cases = "\n".join(f"  {name:11} {what}" for name, (_, what) in CASES.items())
    names = [kind.name for kind in GATEWAYS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog=f"cases:\n{cases}\n\ngateways: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="everything small: about ten minutes instead of more than an hour")
    parser.add_argument("--only", metavar="CASES", help="comma-separated cases; all but soak without it")
    parser.add_argument("--gateways", metavar="NAMES", help=f"comma-separated; all but {', '.join(NOT_BY_DEFAULT)} without it")
    parser.add_argument("--rounds", type=int, default=3, help="repeats of every measurement (3)")
    parser.add_argument("--soak", type=minutes, default=0, metavar="TIME", help="also soak for so long, such as 30m")
    parser.add_argument("--wait", type=minutes, default=5, metavar="TIME", help="wait so long for the machine to be quiet before giving up (5m)")
    parser.add_argument("--force", action="store_true", help="measure a busy machine all the same; the results say so")
    parser.add_argument("--program", metavar="PATH", help="measure this apirouter instead of building one")
    parser.add_argument("--name", help="name of the file of results, without .jsonl")
    parser.add_argument("--keep", action="store_true", help="keep the folder with configurations and logs")
    options = parser.parse_args()
    options.by_hand = options.gateways is not None
    options.gateways = chosen("gateway", names, options.gateways) if options.gateways else [n for n in names if n not in NOT_BY_DEFAULT]
    if options.only:
        options.cases = chosen("case", list(CASES), options.only)
        if "soak" in options.cases and not options.soak:
            options.soak = 30 if not options.quick else 1
    else:
        options.cases = [name for name in CASES if name != "soak" or options.soak]
    if options.rounds < 1:
        sys.exit("--rounds must be at least 1")
    return options


def main():
    options = arguments()
    # An interrupted run still stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    if os.cpu_count() < 2:
        sys.exit("needs two cores: one for the gateway, one for load and upstream")
    bench = Bench(ROOT, options)
    try:
        bench.prepare(options.gateways)
        busy, load = machine.wait_until_quiet(0 if options.force else options.wait)
        quiet = machine.is_quiet(busy, load)
        if not quiet and not options.force:
            sys.exit(f"the machine is busy: {busy:.0%} of it is used by others, load average {load}. Wait (--wait 30m), or --force.")
        bench.open_results(dict(machine.describe(ROOT), program=machine.program(bench.program), quiet=quiet, busy_before=busy, load_before=load, cases=options.cases))
        if not quiet:
            tools.say(f"The machine is busy ({busy:.0%}, load average {load}): these figures are for trying the harness only.")
        for name in options.cases:
            CASES[name][0](bench)
        bench.write({"kind": "end", "seconds": round(time.monotonic() - bench.began)})
    finally:
        bench.close()
    tools.say(f"rows: {bench.path}")
    import report
    report.main([bench.path])


if __name__ == "__main__":
    main()
