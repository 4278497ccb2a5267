#!/usr/bin/env python3
"""Instructions of the hot path's parts, counted by valgrind, beside a baseline: a figure that a busy machine does not change.

  Benchmarks/instructions.py [--binary PATH] [--update] [--bound 1.5]

Takes .build/debug/microbench (what `swift build --build-tests` leaves behind), or another build by --binary. The baseline,
Benchmarks/instructions.json, has a column for debug and one for release builds. Exits with 1 when a part takes more than `bound` times
its baseline, or has none; --update writes what was counted. Counts are of one compiler and one C library: after a change of those, --update.
"""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from harness import machine, tools

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASELINE = os.path.join(ROOT, "Benchmarks/instructions.json")
JOURNAL = "journal, hold and settle"
# The journal's cost is the difference of two whole runs: its work is on other threads.
FEW, MANY = 20, 120


def callgrind(folder, words, options=()):
    # Hash tables in the same order every time.
    environment = dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", *options, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-1500:]}")
    return done


def total(path):
    found = re.search(r"^(?:summary|totals): (\d+)", open(path).read(), re.MULTILINE)
    return int(found.group(1)) if found else 0


def count(binary):
    """Instructions per call by name."""
    with tempfile.TemporaryDirectory() as folder:
        # Valgrind cannot read the DWARF of this compiler and gives up on it; symbols are enough.
        bare = os.path.join(folder, "microbench")
        subprocess.run(["strip", "--strip-debug", "-o", bare, binary], check=True)
        return count_bare(bare)


def count_bare(binary):
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        done = callgrind(folder, [binary, "instructions"], ["--toggle-collect=*runCounted*", "--dump-after=*HotPathBench*runCounted*"])
        lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
        dumps = [total(path) for path in sorted(glob.glob(f"{folder}/out.*"), key=lambda path: int(path.rsplit(".", 1)[1]))]
        if len(dumps) < len(lines) or not all(dumps[:len(lines)]):
            sys.exit(f"valgrind counted {len(dumps)} parts, microbench ran {len(lines)}: was runCounted inlined?")
        for (calls, name), dump in zip(lines, dumps):
            counts[name] = round(dump / int(calls))
    runs = []
    for requests in (FEW, MANY):
        with tempfile.TemporaryDirectory() as folder:
            callgrind(folder, [binary, "journal", str(requests)])
            runs.append(sum(total(path) for path in glob.glob(f"{folder}/out*")))
    counts[JOURNAL] = round((runs[1] - runs[0]) / (MANY - FEW))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build/debug/microbench"))
    parser.add_argument("--bound", type=float, default=1.5, help="how many times its baseline a part may take (1.5)")
    parser.add_argument("--update", action="store_true", help="write the baseline of this kind of build")
    options = parser.parse_args()
    if not os.path.exists(options.binary):
        sys.exit(f"{options.binary} is missing: swift build --build-tests, or --binary PATH")
    if not shutil.which("valgrind"):
        tools.PACKAGES["valgrind"] = "valgrind"
        tools.install_packages(["valgrind"])
    kind = "release" if "release" in os.path.realpath(options.binary) else "debug"
    counts = count(options.binary)
    baseline = json.load(open(BASELINE)) if os.path.exists(BASELINE) else {}
    known = baseline.get(kind, {}).get("instructions", {})
    worse = []
    print(f"| instructions per call, {kind} build | now | baseline | ratio |\n|---|---:|---:|---:|")
    for name, now in counts.items():
        before = known.get(name)
        print(f"| {name} | {now:,} | {before:,} | {now / before:.2f} |" if before else f"| {name} | {now:,} | – | – |")
        if not before or now > before * options.bound:
            worse.append(name)
    gone = sorted(set(known) - set(counts))
    if options.update:
        baseline[kind] = {"swift": machine.output_of("swift", "--version"), "valgrind": machine.output_of("valgrind", "--version"), "instructions": counts}
        with open(BASELINE, "w") as file:
            json.dump(baseline, file, indent=2)
            file.write("\n")
        return
    if worse or gone:
        sys.exit(f"over {options.bound} times the baseline, or without one: {', '.join(worse) or '–'}; in the baseline but gone: {', '.join(gone) or '–'}. "
                 "If that is meant: Benchmarks/instructions.py --update, and say why in the commit.")
    print(f"{len(counts)} parts within {options.bound} times their baselines")


if __name__ == "__main__":
    main()
