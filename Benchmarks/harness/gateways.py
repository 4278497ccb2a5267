"""What is compared: each knows how to be started, asked and measured. All of them on one core, before the same upstream."""

import json
import os
import time

from . import machine, tools
from .processes import NotReady, Process, free_port, http, wait_for

KEY = "sk-benchmark-key-0123456789"


class Gateway:
    """One that is compared. `slow` ones get less work, so that a run ends; `streams` is the most they are asked for at once."""

    name = ""
    slow = False
    max_streams = 5000
    path = "/v1/chat/completions"
    ready_model = "bench-w-16"
    process = None
    setup = ""                    # how it is set up, in a line for the report

    def __init__(self, bench):
        self.bench = bench
        self.port = free_port()
        self.folder = os.path.join(bench.work, self.name)
        os.makedirs(self.folder, exist_ok=True)

    @property
    def pid(self):
        return self.process.pid

    def spawn(self, command, **more):
        self.process = Process(command, os.path.join(self.folder, "log"), core=self.bench.gateway_core, **more)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        raise NotImplementedError

    def wait_ready(self, seconds=30):
        """Ready = it answers a real call."""
        body = json.dumps({"model": self.ready_model, "messages": [{"role": "user", "content": "ready?"}]})
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        last = [None]

        def answers():
            last[0] = http("POST", f"http://127.0.0.1:{self.port}{self.path}", body, headers)
            return last[0][0] == 200
        try:
            wait_for(self.name, self.process, seconds, answers)
        except NotReady as error:
            raise NotReady(f"{error} last answer: {last[0]}") from None

    def settled(self):
        """Returns when the work that answered requests have left behind is done."""

    def cpu_ns(self):
        return machine.tree_cpu_ns(self.pid)

    def database_cpu_ns(self):
        return 0

    def version(self):
        return ""

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def restart(self):
        self.stop()
        self.start()


class Direct(Gateway):
    """No gateway: the upstream itself. What all others are measured from."""

    name = "direct"
    setup = "no gateway: the load asks the upstream"

    def start(self):
        self.port = self.bench.upstream_port

    @property
    def pid(self):
        return None

    def cpu_ns(self):
        return 0


class Nginx(Gateway):
    name = "nginx"
    setup = "one worker, keep-alive to the upstream, `proxy_buffering off`, no log"

    def start(self):
        config = self.write("nginx.conf", f"""daemon off; worker_processes 1; worker_rlimit_nofile {self.bench.descriptors};
pid {self.folder}/pid; error_log /dev/null;
events {{ worker_connections {self.bench.descriptors // 2 * 2}; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 2m; keepalive_requests 100000000; tcp_nodelay on;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
  upstream bench {{ server 127.0.0.1:{self.bench.upstream_port}; keepalive 512; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{self.port} backlog=4096;
    location / {{ proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 1h; }} }}
}}
""")
        self.spawn([tools.which("nginx"), "-c", config, "-p", self.folder])
        self.wait_ready()

    def version(self):
        return machine.output_of(tools.which("nginx"), "-v").split("/")[-1]


class HAProxy(Gateway):
    name = "haproxy"
    setup = "one thread, `http-reuse always`, no log"

    def start(self):
        config = self.write("haproxy.cfg", f"""global
  maxconn {self.bench.descriptors // 2 - 200}
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  option http-no-delay
  http-reuse always
frontend f
  bind 127.0.0.1:{self.port} backlog 4096
  default_backend b
backend b
  server s 127.0.0.1:{self.bench.upstream_port} pool-max-conn 512
""")
        self.spawn([tools.which("haproxy"), "-f", config, "-db"])
        self.wait_ready()

    def version(self):
        return machine.output_of(tools.which("haproxy"), "-v").split()[2]


class Peer(Gateway):
    """Programs from the virtual environment of the benchmarks."""

    package = ""

    @property
    def venv(self):
        if not self.bench.venv_bin:
            self.bench.venv_bin = tools.install_peers(self.bench.root)
        return self.bench.venv_bin

    def version(self):
        return tools.peer_version(self.venv, self.package) or ""


class VLLMRouter(Peer):
    name = "vllm-router"
    package = "vllm-router"
    setup = "round robin, one worker (the upstream); no keys, no books"

    def start(self):
        self.spawn([f"{self.venv}/vllm-router", "--host", "127.0.0.1", "--port", str(self.port), "--policy", "round_robin",
                    "--worker-urls", f"http://127.0.0.1:{self.bench.upstream_port}", "--log-level", "error",
                    "--prometheus-port", str(free_port())], cwd=self.folder)
        self.wait_ready(60)


class SGLangRouter(Peer):
    name = "sglang-router"
    package = "sglang-router"
    setup = "round robin, one worker (the upstream), health check off; no keys, no books"

    def start(self):
        self.spawn([f"{self.venv}/sglang-router", "launch", "--host", "127.0.0.1", "--port", str(self.port), "--policy", "round_robin",
                    "--worker-urls", f"http://127.0.0.1:{self.bench.upstream_port}", "--log-level", "error", "--disable-health-check",
                    "--prometheus-port", str(free_port())], cwd=self.folder)
        self.wait_ready(60)


class LiteLLM(Peer):
    name = "litellm"
    package = "litellm"
    slow = True
    max_streams = 200
    setup = "proxy with one worker, master key, no database"
    database_url = None

    def start(self):
        config = self.write("config.yaml", f"""model_list:
  - model_name: "*"
    litellm_params: {{ model: "openai/*", api_base: "http://127.0.0.1:{self.bench.upstream_port}/v1", api_key: k }}
litellm_settings: {{ telemetry: false, num_retries: 0, request_timeout: 600 }}
general_settings: {{ master_key: {KEY}{f', database_url: "{self.database_url}"' if self.database_url else ''} }}
""")
        environment = {name: value for name, value in os.environ.items() if "API_KEY" not in name and name != "DATABASE_URL"}
        environment.update(LITELLM_LOG="ERROR", LITELLM_LOCAL_MODEL_COST_MAP="True", NO_DOCS="True", PATH=f"{self.venv}:{os.environ['PATH']}")
        if self.database_url:
            environment["DATABASE_URL"] = self.database_url
        self.spawn([f"{self.venv}/litellm", "--config", config, "--host", "127.0.0.1", "--port", str(self.port), "--num_workers", "1",
                    "--telemetry", "False"], env=environment, cwd=self.folder)
        self.wait_ready(180)


class LiteLLMDatabase(LiteLLM):
    """With its own logging of every request into PostgreSQL."""

    name = "litellm-db"
    setup = "the same with its request log in PostgreSQL"

    def start(self):
        reason = tools.prisma_client(self.venv)
        if reason:
            raise NotReady(reason)
        self.database_url = self.bench.postgres().new_database("litellm")
        super().start()
        time.sleep(2)

    def database_cpu_ns(self):
        return self.bench.postgres().cpu_ns()
