"""What an upstream call costs by our own transport and by libcurl, plain and TLS, without a gateway around it."""

import json
import os
import subprocess

from . import tools
from .processes import NotReady, Process, free_port, wait_for

# model, connections, what is counted
SHAPES = [("bench-w-1024", 1, "calls"), ("bench-w-1024", 64, "calls"), ("bench-s-50-10-220", 100, "pieces"), ("bench-s-500-0-220", 64, "calls")]


def transports(bench):
    program = os.path.join(os.path.dirname(bench.program), "microbench")
    if not bench.options.program:
        subprocess.run(["swift", "build", "-c", "release", "--scratch-path", f"{bench.root}/.build-release", "--product", "microbench"],
                       cwd=bench.root, check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(program):
        return tools.say(f"transports are left out: no {program}")
    try:
        front = Front(bench)
    except (NotReady, OSError, subprocess.CalledProcessError) as error:
        return tools.say(f"transports are left out: {error}")
    urls = {"plain": (f"http://127.0.0.1:{bench.upstream_port}", "-"), "TLS": (f"https://127.0.0.1:{front.port}", front.certificate)}
    try:
        for turn in range(bench.rounds):
            for model, connections, unit in SHAPES[:2] if bench.quick else SHAPES:
                for security, (origin, trusted) in urls.items():
                    for kind in ("nio", "curl"):
                        one(bench, program, turn, kind, security, origin, trusted, model, connections, unit)
    finally:
        front.process.stop()


def one(bench, program, turn, kind, security, origin, trusted, model, connections, unit):
    seconds = bench.seconds(3, 1)
    command = ["taskset", "-c", str(bench.gateway_core), program, "transport", kind, f"{origin}/v1/chat/completions", trusted, str(connections),
               str(seconds), model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        return tools.say(f"{kind}, {security}: {(done.stdout + done.stderr)[-200:]}")
    result = json.loads(done.stdout)
    bench.row("transports", kind, round=turn, security=security, model=model, connections=connections, unit=unit, count=result[unit],
              cpu_us=round(result["cpu_seconds"] * 1e6 / max(1, result[unit]), 2), calls_per_second=round(result["calls"] / result["seconds"], 1))


class Front:
    """nginx with a certificate of its own before the upstream, on the upstream's core: what a vendor's TLS looks like to us."""

    def __init__(self, bench):
        folder = os.path.join(bench.work, "tls")
        os.makedirs(folder)
        self.certificate = f"{folder}/cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem", "-out", self.certificate],
                       check=True, capture_output=True)
        self.port = free_port()
        with open(f"{folder}/nginx.conf", "w") as file:
            file.write(f"""daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 2m; keepalive_requests 100000000; tcp_nodelay on;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream bench {{ server 127.0.0.1:{bench.upstream_port}; keepalive 512; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{self.port} ssl backlog=4096; ssl_certificate {self.certificate}; ssl_certificate_key {folder}/key.pem;
    location / {{ proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }} }}
}}
""")
        self.process = Process([tools.which("nginx"), "-c", f"{folder}/nginx.conf", "-p", folder], f"{folder}/log", core=bench.load_core)
        wait_for("nginx with TLS", self.process, 10, self.answers)

    def answers(self):
        asked = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile", self.certificate, "-verify_return_error"],
                               stdin=subprocess.DEVNULL, capture_output=True)
        return asked.returncode == 0
