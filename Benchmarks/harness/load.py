"""Runs the load generator and brackets it with the CPU clocks of everything that takes part."""

import json
import os
import signal
import subprocess
import time

from . import machine
from .gateways import KEY


def request_body(model, size=1024, stream=False):
    """A chat completion request of about `size` bytes, on one line."""
    fields = {"model": model}
    if stream:
        fields["stream"] = True
    fields["messages"] = [{"role": "user", "content": ""}]
    room = max(1, size - len(json.dumps(fields, separators=(",", ":"))))
    text = "The quick brown fox jumps over the lazy dog. "
    fields["messages"][0]["content"] = (text * (room // len(text) + 1))[:room]
    return json.dumps(fields, separators=(",", ":"))


class Load:
    """What asks: the program, the core, the files with bodies and keys."""

    def __init__(self, bench):
        self.bench = bench
        self.program = os.path.join(bench.tools, "load")
        self.keys = self.lines_file("keys", [KEY])

    def lines_file(self, name, lines):
        path = os.path.join(self.bench.work, name)
        with open(path, "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def body_file(self, model, size=1024, stream=False):
        return self.lines_file(f"body-{model}-{size}-{int(stream)}".replace("/", "_"), [request_body(model, size, stream)])

    def command(self, mode, port, bodies, keys=None, **options):
        ports = port if isinstance(port, tuple) else (port,)
        words = ["taskset", "-c", str(self.bench.load_core), self.program, mode, "--bodies", bodies, "--keys", keys or self.keys]
        for one in ports:
            words += ["--port", str(one)]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        return words

    def run(self, gateway, mode, bodies, keys=None, port=None, **options):
        """The load's result with the CPU of gateway, upstream and database in it."""
        command = self.command(mode, port or gateway.port, bodies, keys, **options)
        upstream = self.bench.upstream.pid
        busy, began = machine.busy_ns(), time.monotonic()
        before = gateway.cpu_ns(), gateway.database_cpu_ns(), machine.process_cpu_ns(upstream)
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.monotonic() - began
        if done.returncode or not done.stdout.strip():
            raise RuntimeError(f"load failed: {' '.join(command)}: {done.stderr[-500:]}")
        gateway.settled()
        after = gateway.cpu_ns(), gateway.database_cpu_ns(), machine.process_cpu_ns(upstream)
        result = json.loads(done.stdout.strip().splitlines()[-1])
        spent, database, served = (b - a for a, b in zip(before, after))
        load_ns = result["load_cpu_seconds"] * 1e9
        result.update(
            wall=round(wall, 3), cpu_ns=spent, database_cpu_ns=database, upstream_cpu_ns=served,
            gateway_core_busy=round(spent / (wall * 1e9), 3), load_core_busy=round((served + load_ns) / (wall * 1e9), 3),
            foreign=machine.foreign_share(busy, began, spent + database + served + load_ns))
        return result

    def warm(self, gateway, bodies, connections, seconds, mode="closed"):
        subprocess.run(self.command(mode, gateway.port, bodies, connections=connections, seconds=seconds), capture_output=True)
        gateway.settled()

    def start(self, port, mode, bodies, **options):
        self.started = getattr(self, "started", 0) + 1
        return Background(self.command(mode, port, bodies, **options), os.path.join(self.bench.work, f"beside-{self.started}"))


class Background:
    """A load that runs beside something else. `ready` waits until all its streams are open; `stop` asks for its result."""

    def __init__(self, command, path):
        self.path = path
        with open(path, "w") as file:
            self.child = subprocess.Popen(command, stdout=file)

    def ready(self, seconds=60):
        """How many streams are open, when all are or the time is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.child.poll() is None:
            line = machine.text_of(self.path)
            if line.startswith("READY"):
                return int(line.split()[1])
            time.sleep(0.05)
        return 0

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(90)
        lines = [line for line in machine.text_of(self.path).splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}

    def vanish(self):
        """Every connection is gone at once, as when a network breaks."""
        self.child.kill()
        self.child.wait()


def figures(result, per="ok"):
    """The columns that every row has."""
    units = max(1, result[per])
    return {
        "seconds": result["seconds"], "requests": result["ok"], "not_ok": result["not_ok"],
        "broken": result["broken"] + result["connect_failed"] + result["cut"],
        "cpu_us": round(result["cpu_ns"] / 1e3 / units, 2), "database_cpu_us": round(result["database_cpu_ns"] / 1e3 / units, 2),
        "upstream_cpu_us": round(result["upstream_cpu_ns"] / 1e3 / units, 2),
        "load_cpu_us": round(result["load_cpu_seconds"] * 1e6 / units, 2),
        "gateway_core_busy": result["gateway_core_busy"], "load_core_busy": result["load_core_busy"], "foreign": result["foreign"],
    }


def quantiles(hist, prefix=""):
    return {f"{prefix}{name}": hist[name] for name in ("p50", "p90", "p99", "p999", "max")}
