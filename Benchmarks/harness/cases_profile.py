"""Where the time goes: sampled stacks of the governed gateway under load, kept as data beside the report (needs `perf`)."""

import collections
import gzip
import os
import re
import shutil
import subprocess
import time

from . import tools

FRAME = re.compile(r"\s+[0-9a-f]+ (.*) \((.*)\)$")
OFFSET = re.compile(r"\+0x[0-9a-f]+$")
# Whose code a sample was in, by the file it lies in.
LAYERS = [("kernel", r"kernel|vdso"), ("SQLite", r"sqlite"), ("Swift runtime", r"libswift"), ("malloc, copies", r"libc\.so|ld-linux"),
          ("gateway and NIO", r"apirouter|gw-")]


def profile(bench):
    """Stacks of the gateway at 64 connections and with a hundred paced streams: NAME/profile-*.folded.gz (a line each, for any flame graph
    program), and rows with the share of each layer and thread."""
    if not shutil.which("perf"):
        return tools.say("no profile: perf is not installed")
    gateway = bench.gateway("apirouter") if "apirouter" in bench.options.gateways else None
    if not gateway:
        return
    seconds = bench.seconds(6, 2)
    requests = bench.load.body_file("bench-w-1024")
    chunks = bench.load.body_file("bench-s-50-10-220", 1024, stream=True)
    sample(bench, gateway, "requests", seconds, lambda: bench.load.start(gateway.port, "closed", requests, connections=64, seconds=seconds + 2))
    sample(bench, gateway, "paced chunks", seconds,
           lambda: bench.load.start(gateway.port, "streams", chunks, connections=100, ramp=0.5, stall=15, seconds=seconds + 2))


def sample(bench, gateway, what, seconds, start):
    data = os.path.join(bench.work, "perf.data")
    load = start()
    time.sleep(1)
    done = subprocess.run(["perf", "record", "-F", "1999", "-g", "--call-graph", "fp", "-p", str(gateway.pid), "-o", data, "--", "sleep", str(seconds)],
                          capture_output=True, text=True)
    load.stop()
    if done.returncode:
        return tools.say(f"no profile of {what}: {done.stderr[-200:]}")
    text = subprocess.run(["perf", "script", "-i", data], capture_output=True, text=True).stdout
    text = subprocess.run(["swift", "demangle", "--simplified"], input=text, capture_output=True, text=True).stdout
    stacks, layers, threads, total = fold(text)
    if not total:
        return tools.say(f"no profile of {what}: no samples")
    path = os.path.join(bench.path.removesuffix(".jsonl"), f"profile-{what.replace(' ', '-')}.folded.gz")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(f"{stack} {count}\n" for stack, count in sorted(stacks.items()))
    share = lambda counts: {name: round(count / total, 4) for name, count in counts.most_common()}
    bench.row("profile", gateway, what=what, samples=total, file=os.path.basename(path), layers=share(layers), threads=share(threads))


def fold(text):
    """Stacks from the root on, `;` between frames; samples by layer and by thread."""
    stacks, layers, threads = collections.Counter(), collections.Counter(), collections.Counter()
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        frames = [found.groups() for found in map(FRAME.match, lines[1:]) if found]
        if not frames:
            continue
        names = [("[kernel] " if "kernel" in where else "") + OFFSET.sub("", name).replace(";", ",") for name, where in reversed(frames)]
        stacks[";".join(names)] += 1
        # perf prints no more than fifteen characters of a thread's name, spaces included, before its number.
        threads["event loop" if "NIO" in lines[0] else "others (ledger, journal, timers)"] += 1
        layers[next((layer for layer, pattern in LAYERS if re.search(pattern, frames[0][1])), "other libraries")] += 1
    return stacks, layers, threads, sum(stacks.values())
