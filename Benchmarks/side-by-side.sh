#!/usr/bin/env bash
# CPU per request and added latency of the gateway, beside a direct call and nginx as a plain reverse proxy, in one run.
#
#   Benchmarks/side-by-side.sh [ROUNDS] [SECONDS]
#
# One upstream (upstream-simulator --fast) on core 1 together with the load; each gateway alone on core 0. Rounds are interleaved; the
# table shows medians. CPU is what the kernel booked for the gateway's process tree (utime + stime of /proc/PID/stat), divided by requests.
# Refuses a busy machine. Prints a table and writes Benchmarks/results/side-by-side-DATE.csv.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
seconds=${2:-4}
bin=.build-release/release
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

for tool in nginx wrk; do
    if ! command -v $tool >/dev/null; then
        echo "Installing nginx and wrk with apt-get"
        sudo=$([[ $(id -u) -eq 0 ]] || echo sudo)
        $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends nginx-light wrk >/dev/null
    fi
done
[[ $(nproc) -ge 2 ]] || { echo "needs two cores" >&2; exit 1; }
load=$(cut -d' ' -f1 /proc/loadavg)
if [[ -z ${BENCH_ANYWAY:-} ]] && awk "BEGIN { exit !($load > 1.0) }"; then
    echo "the machine is busy (load $load); wait, or set BENCH_ANYWAY=1" >&2
    exit 1
fi

upstream=4701 nginx=4702 ours=4703
taskset -c 1 $bin/upstream-simulator --fast --port $upstream >"$work/sim.log" &
pids+=($!)

cat >"$work/nginx.conf" <<N
daemon off; worker_processes 1; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  upstream sim { server 127.0.0.1:$upstream; keepalive 512; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$nginx; keepalive_requests 100000000;
    location / { proxy_pass http://sim; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }
N
taskset -c 0 nginx -c "$work/nginx.conf" -p "$work" &
pids+=($!)

mkdir -p "$work/config" "$work/providers"
cat >"$work/config/gateway.yaml" <<G
server: { host: 127.0.0.1, port: $ours }
data_dir: ../data
storage: { url: "sqlite:../data/apirouter.db" }
providers_dir: ../providers
channels: channels.yaml
log: { level: warning }
G
printf 'channels:\n  - { id: 1, name: sim, provider: sim, keys: [k], models: ["*"] }\n' >"$work/config/channels.yaml"
cat >"$work/providers/sim.yaml" <<P
name: sim
adaptor: openai
base_url: http://127.0.0.1:$upstream/v1
models:
  - { id: fast, price: { input: "0.15", output: "0.6" } }
P
export APIROUTER_SQL_DIR=$PWD/sql INITIAL_ROOT_PASSWORD=benchmark-password
export INITIAL_ROOT_ACCESS_TOKEN=at-benchmark-token-0123 INITIAL_ROOT_TOKEN=sk-benchmark-key-0123
taskset -c 0 $bin/apirouter serve --config "$work/config/gateway.yaml" >"$work/ours.log" 2>&1 &
pids+=($!)
gateway=$!
for _ in $(seq 200); do curl -fs -o /dev/null localhost:$ours/health/ready && break; sleep 0.05; done
curl -fs -o /dev/null localhost:$ours/api/balance/admin/add -H "Authorization: Bearer $INITIAL_ROOT_ACCESS_TOKEN" \
    -d '{"user_id":1,"amount":1000000}'

text=$(printf 'The quick brown fox jumps over the lazy dog. %.0s' $(seq 20))
for kind in whole stream; do
    extra=$([[ $kind == stream ]] && echo '"stream":true,"stream_options":{"include_usage":true},' || true)
    cat >"$work/$kind.lua" <<L
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $INITIAL_ROOT_TOKEN"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model":"fast",$extra"messages":[{"role":"user","content":"$text"}]}'
L
done

ticks() { # of a process and its children, in clock ticks
    local sum=0 pid
    for pid in "$1" $(pgrep -P "$1" || true); do
        sum=$((sum + $(awk '{print $14 + $15}' "/proc/$pid/stat")))
    done
    echo "$sum"
}
run() { # name port pid connections kind
    local before after out
    before=$([[ $3 -gt 0 ]] && ticks "$3" || echo 0)
    out=$(taskset -c 1 wrk -t1 -c"$4" -d"${seconds}s" --latency -s "$work/$5.lua" "http://127.0.0.1:$2/v1/chat/completions")
    after=$([[ $3 -gt 0 ]] && ticks "$3" || echo 0)
    python3 - "$1" "$4" "$5" "$before" "$after" "$work/rows.csv" "$out" <<'PY'
import re, sys
name, connections, kind, before, after, path, out = sys.argv[1:]
requests = int(re.search(r"(\d+) requests in", out).group(1))
unit = {"us": 1, "ms": 1000, "s": 1000000}
value = lambda p: (lambda m: float(m.group(1)) * unit[m.group(2)])(re.search(rf"{p}%\s+([\d.]+)(us|ms|s)", out))
bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
if bad:
    sys.exit(f"{name}: {bad.group(1)} bad answers")
cpu = (int(after) - int(before)) * 10000 / max(1, requests)
with open(path, "a") as file:
    file.write(f"{name},{kind},{connections},{requests},{cpu:.1f},{value(50):.0f},{value(99):.0f}\n")
PY
}

nginx_pid=$(cat "$work/nginx.pid")
for round in $(seq "$rounds"); do
    for kind in whole stream; do
        for connections in 1 64; do
            run direct $upstream 0 $connections $kind
            run nginx $nginx "$nginx_pid" $connections $kind
            run apirouter $ours "$gateway" $connections $kind
        done
    done
done

result=Benchmarks/results/side-by-side-$(date -u +%Y%m%d-%H%M).csv
{ echo "# $(date -u +%FT%TZ) $(git rev-parse --short HEAD) $(uname -sr) $(nproc) cores, load before $load, $rounds rounds of ${seconds}s"
  echo "name,kind,connections,requests,cpu_us_per_request,p50_us,p99_us"; cat "$work/rows.csv"; } >"$result"
python3 - "$result" "$gateway" <<'PY'
import statistics, sys
rows = [line.strip().split(",") for line in open(sys.argv[1]) if not line.startswith(("#", "name"))]
median = lambda name, kind, connections, column: statistics.median(
    float(r[column]) for r in rows if r[:3] == [name, kind, connections])
print(f"{'':10} {'':7} {'conn':>5} {'CPU µs/req':>11} {'× nginx':>8} {'p50 µs':>8} {'added p50':>10} {'p99 µs':>8}")
for kind in ("whole", "stream"):
    for connections in ("1", "64"):
        base = median("direct", kind, connections, 5)
        for name in ("direct", "nginx", "apirouter"):
            cpu, p50, p99 = (median(name, kind, connections, column) for column in (4, 5, 6))
            ratio = "" if name == "direct" else f"{cpu / median('nginx', kind, connections, 4):.1f}"
            print(f"{name:10} {kind:7} {connections:>5} {cpu if name != 'direct' else 0:11.0f} {ratio:>8} {p50:8.0f} {p50 - base:10.0f} {p99:8.0f}")
rss = next(line for line in open(f"/proc/{sys.argv[2]}/status") if line.startswith("VmHWM")).split()[1]
print(f"peak memory of apirouter: {int(rss) // 1024} MB; raw rows: {sys.argv[1]}")
PY
sleep 2
kill -TERM "$gateway"; wait "$gateway" || true
$bin/apirouter ledger verify --config "$work/config/gateway.yaml"
