"""Programs that a run starts, on the core where they belong, and ends again by their process ids."""

import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from . import machine


class NotReady(Exception):
    pass


def raise_descriptor_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A program with its output in a file. `core` None = wherever the kernel likes."""

    def __init__(self, command, log, core=None, env=None, cwd=None, user=None):
        pinned = ["taskset", "-c", str(core)] if core is not None else []
        self.log = log
        self.file = open(log, "ab")
        self.child = subprocess.Popen(pinned + command, stdout=self.file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                      env=env, cwd=cwd, start_new_session=True, user=user)
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def stop(self, seconds=15):
        if self.alive():
            members = machine.tree(self.pid)
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                for pid in members:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
                self.child.wait()
        self.file.close()

    def tail(self, n=800):
        return machine.text_of(self.log)[-n:]


def http(method, url, body=None, headers=None, timeout=10):
    """Status and text of an answer."""
    request = urllib.request.Request(url, method=method, data=body.encode() if body else None, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(what, process, seconds, condition):
    """Polls until the condition holds; says why when it does not."""
    until = time.monotonic() + seconds
    last = ""
    while time.monotonic() < until:
        if process and not process.alive():
            raise NotReady(f"{what} ended: {process.tail()}")
        try:
            if condition():
                return
        except (OSError, ValueError) as error:
            last = str(error)
        time.sleep(0.05)
    raise NotReady(f"{what} was not ready within {seconds} s ({last}): {process.tail() if process else ''}")
