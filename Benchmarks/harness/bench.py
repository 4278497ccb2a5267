"""One run: its options, its upstream, its gateways, its file of rows."""

import json
import os
import shutil
import tempfile
import time

from . import gateways, machine, ours, postgres, processes, tools
from .load import Load

GATEWAYS = [gateways.Direct, gateways.Nginx, gateways.HAProxy, ours.Ungoverned, ours.APIRouter, gateways.VLLMRouter, gateways.SGLangRouter,
            gateways.LiteLLM, gateways.LiteLLMDatabase, ours.OnPostgres]
# On request only: books.sh compares the two stores.
NOT_BY_DEFAULT = {"apirouter-pg"}


class Bench:
    def __init__(self, root, options):
        self.root, self.options = root, options
        self.quick = options.quick
        self.rounds = options.rounds
        self.load_core, self.gateway_core = 0, 1
        self.descriptors = processes.raise_descriptor_limit()
        self.work = tempfile.mkdtemp(prefix="apirouter-bench-")
        self.tools = os.path.join(self.work, "bin")
        self.venv_bin = None
        self.running = {}
        self.unavailable = {}
        self.database = None
        self.upstream = None
        self.began = time.monotonic()

    # ---- start and end

    def prepare(self, names):
        tools.install_packages([name for name in ("cc", "nginx", "haproxy", "wrk") if name in ("cc", "wrk") or name in names])
        tools.compile_tools(self.root, self.tools)
        self.program = tools.build_gateway(self.root, self.options.program)
        if any(issubclass(kind, gateways.Peer) and kind.name in names for kind in GATEWAYS):
            self.venv_bin = tools.install_peers(self.root)
        self.upstream_port = processes.free_port()
        self.upstream = processes.Process([f"{self.tools}/upstream", str(self.upstream_port)], os.path.join(self.work, "upstream.log"), core=self.load_core)
        processes.wait_for("upstream", self.upstream, 5, lambda: self.upstream_stats() is not None)
        self.load = Load(self)

    def open_results(self, header):
        os.makedirs(os.path.join(self.root, "Benchmarks/results"), exist_ok=True)
        stamp = time.strftime("%Y%m%d-%H%M", time.gmtime())
        name = self.options.name or f"bench-{stamp}{'-quick' if self.quick else ''}"
        self.path = os.path.join(self.root, "Benchmarks/results", f"{name}.jsonl")
        self.file = open(self.path, "w")
        self.write(dict(header, kind="header", began=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), rounds=self.rounds, quick=self.quick,
                        gateway_core=self.gateway_core, load_core=self.load_core))

    def write(self, row):
        self.file.write(json.dumps(row, separators=(",", ":")) + "\n")
        self.file.flush()

    def row(self, case, gateway, **columns):
        name = gateway if isinstance(gateway, str) else gateway.name
        self.write({"kind": "row", "case": case, "gateway": name, "at": round(time.monotonic() - self.began, 1), **columns})
        shown = " ".join(f"{k}={v}" for k, v in columns.items() if not isinstance(v, (list, dict)))
        tools.say(f"{time.monotonic() - self.began:7.1f} {case:10} {name:14} {shown}"[:260])

    def close(self):
        for gateway in list(self.running.values()):
            gateway.stop()
        if self.database:
            self.database.stop()
        if self.upstream:
            self.upstream.stop()
        if self.options.keep:
            tools.say(f"kept: {self.work}")
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    # ---- what takes part

    def postgres(self):
        if not self.database:
            self.database = postgres.Postgres(self)
        return self.database

    def gateway(self, name):
        """Started, or None where it cannot be: the reason is a row of the results."""
        if name in self.running:
            return self.running[name]
        if name in self.unavailable:
            return None
        kind = next(kind for kind in GATEWAYS if kind.name == name)
        gateway = kind(self)
        try:
            gateway.start()
        except (processes.NotReady, OSError) as error:
            gateway.stop()
            self.unavailable[name] = str(error)[:400]
            self.write({"kind": "unavailable", "gateway": name, "reason": self.unavailable[name]})
            tools.say(f"{name} is left out: {self.unavailable[name]}")
            return None
        self.running[name] = gateway
        self.write({"kind": "gateway", "gateway": name, "version": gateway.version(), "setup": gateway.setup})
        return gateway

    def gateways(self, skip=(), only=None, quick_only=None):
        """All that are selected and can be started, in the order of the table above. `only` (`quick_only` in a quick run) are the ones that a long
        case is for; whoever selects gateways by hand gets what was selected."""
        names = [name for name in self.options.gateways if name not in skip]
        only = (quick_only or only) if self.quick else only
        if only and not self.options.by_hand:
            names = [name for name in names if name in only]
        return [gateway for gateway in map(self.gateway, names) if gateway]

    def retire(self, name):
        """Ends a gateway before another case needs its core and memory for itself."""
        if name in self.running:
            self.running.pop(name).stop()

    def upstream_stats(self):
        return json.loads(processes.http("GET", f"http://127.0.0.1:{self.upstream_port}/bench/stats")[1])

    def seconds(self, full, quick):
        return quick if self.quick else full
