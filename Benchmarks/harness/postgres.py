"""A PostgreSQL of the run's own, on the load's core, for those that keep books in one."""

import glob
import os
import pwd
import subprocess

from . import machine
from .processes import Process, free_port, wait_for


class Postgres:
    def __init__(self, bench):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not programs:
            subprocess.run([os.path.join(bench.root, "Scripts/install-packages.sh"), "--tests"], check=True)
            programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.bin = programs[-1]
        self.port = free_port()
        self.data = os.path.join(bench.work, "postgres")
        os.makedirs(self.data, exist_ok=True)
        self.user = None
        if os.geteuid() == 0:
            # The server refuses to run as root.
            self.user = pwd.getpwnam("postgres")
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
            os.chmod(bench.work, 0o755)
        self.run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync")
        self.process = Process([f"{self.bin}/postgres", "-D", self.data, "-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1",
                                "-c", f"unix_socket_directories={self.data}"], os.path.join(bench.work, "postgres.log"), core=bench.load_core,
                               cwd="/tmp", user=self.user.pw_uid if self.user else None)
        wait_for("PostgreSQL", self.process, 30, lambda: subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0)

    def run(self, program, *words):
        subprocess.run([f"{self.bin}/{program}", *words], check=True, stdout=subprocess.DEVNULL, cwd="/tmp",
                       user=self.user.pw_uid if self.user else None)

    def new_database(self, name):
        self.run("dropdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "--if-exists", name)
        self.run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return f"postgres://postgres@127.0.0.1:{self.port}/{name}"

    def cpu_ns(self):
        return machine.tree_cpu_ns(self.process.pid)

    def stop(self):
        self.process.stop()
