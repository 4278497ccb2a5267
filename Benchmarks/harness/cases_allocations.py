"""Allocations per request and per chunk: what a busy machine does not change, and the first thing to look at when CPU is to go down."""

import os
import struct
import subprocess

from . import ours
from .gateways import Nginx


def counting(kind):
    """A gateway of the kind that runs with its allocations counted. Never one whose CPU is measured."""
    class Counting(kind):
        name = f"{kind.name}-counted"
        setup = f"{kind.name} with every allocation counted (LD_PRELOAD)"

        def spawn(self, command, **more):
            self.counters = os.path.join(self.folder, "allocations")
            environment = dict(more.pop("env", None) or os.environ, LD_PRELOAD=os.path.join(self.bench.tools, "allocations.so"),
                               ALLOCATIONS_FILE=self.counters)
            super().spawn(command, env=environment, **more)

        def counted(self):
            with open(self.counters, "rb") as file:
                return struct.unpack("<3Q", file.read(24))
    return Counting


def allocations(bench):
    root = bench.root
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", f"{bench.tools}/allocations.so",
                    f"{root}/Benchmarks/Load/allocations.c"], check=True)
    for kind in (Nginx, ours.Ungoverned, ours.APIRouter):
        if kind.name not in bench.options.gateways:
            continue
        gateway = counting(kind)(bench)
        try:
            gateway.start()
            measure(bench, gateway, kind.name)
        finally:
            gateway.stop()


def measure(bench, gateway, name):
    seconds = bench.seconds(2, 1)
    shapes = [("request, 1 KB", bench.load.body_file("bench-w-1024"), "closed", "ok", {}),
              ("request, 20 KB", bench.load.body_file("bench-w-1024", 20_000), "closed", "ok", {}),
              ("stream of 50 chunks", bench.load.body_file("bench-s-50-1-220", 1024, True), "streams", "completed", {}),
              ("stream of 500 chunks", bench.load.body_file("bench-s-500-1-220", 1024, True), "streams", "completed", {})]
    for what, body, mode, unit, options in shapes:
        bench.load.warm(gateway, body, 16, 0.5, mode=mode)
        for turn in range(bench.rounds):
            before = gateway.counted()
            result = bench.load.run(gateway, mode, body, connections=16, seconds=seconds, **options)
            made, size, freed = (b - a for a, b in zip(before, gateway.counted()))
            count = max(1, result[unit])
            bench.row("allocations", name, what=what, round=turn, units=count, allocations=round(made / count, 1), bytes=round(size / count),
                      frees=round(freed / count, 1))
