"""What the machine is, whether it is quiet, and what processes cost, as the kernel books it."""

import hashlib
import os
import platform
import subprocess
import time


def text_of(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def output_of(*command):
    """First line that a command prints, on either channel; empty when there is no such command."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""


def describe(root):
    cpu = next((l.split(":", 1)[1].strip() for l in text_of("/proc/cpuinfo").splitlines() if l.startswith("model name")), "?")
    memory = int(next(l for l in text_of("/proc/meminfo").splitlines() if l.startswith("MemTotal")).split()[1]) // 1024
    system = next((l.split("=", 1)[1].strip('"') for l in text_of("/etc/os-release").splitlines() if l.startswith("PRETTY_NAME")), "?")
    git = lambda *words: output_of("git", "-C", root, *words)
    return {
        "cpu": cpu, "cores": os.cpu_count(), "memory_mb": memory, "system": system, "kernel": platform.release(),
        "commit": git("rev-parse", "HEAD"), "commit_date": git("log", "-1", "--format=%cI"),
        "uncommitted": bool(git("status", "--porcelain", "--untracked-files=no", "Sources", "Package.swift")),
        "swift": output_of("swift", "--version"), "build": "swift build -c release",
        "compiler_of_the_tools": output_of("cc", "--version"), "python": platform.python_version(),
    }


def program(path):
    """Which build was measured, when it is not the clone's own."""
    with open(path, "rb") as file:
        return {"path": path, "sha256": hashlib.file_digest(file, "sha256").hexdigest()[:16], "bytes": os.path.getsize(path)}


# ---- CPU

def process_cpu_ns(pid):
    """CPU of a process and all its threads, ended ones included. The kernel's clock of the process: nanoseconds, not ticks."""
    try:
        return time.clock_gettime_ns(((~pid) << 3) | 2)
    except OSError:
        return 0


def tree(pid):
    """The process and its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        if not os.path.exists(f"/proc/{one}"):
            continue
        found.append(one)
        for thread in os.listdir(f"/proc/{one}/task") if os.path.isdir(f"/proc/{one}/task") else []:
            todo += [int(child) for child in text_of(f"/proc/{one}/task/{thread}/children").split()]
    return found


def tree_cpu_ns(pid):
    return sum(process_cpu_ns(one) for one in tree(pid))


def busy_ns():
    """CPU time that all cores together have spent on anything, stolen time included, since the start. In ticks of 10 ms."""
    fields = [int(word) for word in text_of("/proc/stat").split("\n", 1)[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) * 10_000_000


def foreign_share(before_busy, before_time, known_ns):
    """Share of the whole machine that processes took which are none of ours, since `before`."""
    wall = (time.monotonic() - before_time) * 1e9 * os.cpu_count()
    return round(max(0.0, (busy_ns() - before_busy - known_ns) / wall), 3) if wall else 0.0


# ---- quiet

def noise(seconds=3.0):
    """Busy share of the machine while we only watch, and the load average of the last minute."""
    start, began = busy_ns(), time.monotonic()
    time.sleep(seconds)
    return foreign_share(start, began, 0), float(text_of("/proc/loadavg").split()[0])


def is_quiet(busy, load):
    return busy < 0.05 and load < 1.5


def wait_until_quiet(minutes):
    """Busy share and load average when it was quiet, or when the time was over."""
    until = time.monotonic() + minutes * 60
    while True:
        busy, load = noise()
        if is_quiet(busy, load) or time.monotonic() >= until:
            return busy, load
        time.sleep(10)


# ---- memory, descriptors

def memory_kb(pid):
    """Of a process tree in KB: RSS, PSS, and the part that no file on the disk has (heap and stacks; the rest is program text and libraries)."""
    rss = pss = anonymous = 0
    for one in tree(pid):
        for line in text_of(f"/proc/{one}/smaps_rollup").splitlines():
            if line.startswith("Rss:"):
                rss += int(line.split()[1])
            elif line.startswith("Pss:"):
                pss += int(line.split()[1])
            elif line.startswith("Anonymous:"):
                anonymous += int(line.split()[1])
    return {"rss_kb": rss, "pss_kb": pss, "anonymous_kb": anonymous}


def descriptors(pid):
    total = 0
    for one in tree(pid):
        try:
            total += len(os.listdir(f"/proc/{one}/fd"))
        except OSError:
            pass
    return total


def threads(pid):
    total = 0
    for one in tree(pid):
        try:
            total += len(os.listdir(f"/proc/{one}/task"))
        except OSError:
            pass
    return total
