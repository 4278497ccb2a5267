#!/usr/bin/env bash
# What the books cost: CPU per request of the same gateway with admission off (no hold, no journal, no ledger), with its books on SQLite, and with
# its books on PostgreSQL, interleaved in one run.
#
#   Benchmarks/books.sh [ROUNDS] [SECONDS]
#
# CPU is what the kernel booked for the gateway process (utime + stime), divided by requests; the database server's own CPU is a column of its
# own. All gateways on core 0, load and upstream on core 1. Writes Benchmarks/results/books-DATE.csv and prints medians and ratios.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
seconds=${2:-4}
root=$PWD
bin=$root/.build-release/release
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; [[ -z ${pgdata:-} ]] || as_postgres "$pgbin/pg_ctl" -D "$pgdata" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

if ! command -v wrk >/dev/null; then
    sudo=$([[ $(id -u) -eq 0 ]] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends wrk >/dev/null
fi
Scripts/install-packages.sh --tests

upstream=4721
taskset -c 1 "$bin/upstream-simulator" --fast --port $upstream >"$work/sim.log" &
pids+=($!)

# A PostgreSQL of its own.
pgbin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
chmod 755 "$work"
pgdata=$work/pg
mkdir "$pgdata"
as_postgres() { if [[ $(id -u) -eq 0 ]]; then setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else "$@"; fi; }
[[ $(id -u) -ne 0 ]] || chown postgres: "$pgdata"
(cd /tmp && as_postgres "$pgbin/initdb" -D "$pgdata" -U postgres --auth=trust --no-sync >/dev/null)
(cd /tmp && as_postgres taskset -c 1 "$pgbin/postgres" -D "$pgdata" -c port=4722 -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories="$pgdata" >"$work/pg.log" 2>&1) &
for _ in $(seq 100); do "$pgbin/pg_isready" -q -h 127.0.0.1 -p 4722 && break; sleep 0.1; done

mkdir -p "$work/providers"
cat >"$work/providers/sim.yaml" <<P
name: sim
adaptor: openai
base_url: http://127.0.0.1:$upstream/v1
models:
  - { id: fast, price: { input: "0.15", output: "0.6" } }
P
export APIROUTER_SQL_DIR=$root/sql INITIAL_ROOT_PASSWORD=benchmark-password
export INITIAL_ROOT_ACCESS_TOKEN=at-benchmark-token-0123 INITIAL_ROOT_TOKEN=sk-benchmark-key-0123
declare -A port=([off]=4723 [sqlite]=4724 [postgres]=4725) pid
for kind in off sqlite postgres; do
    mkdir -p "$work/$kind"
    url="sqlite:data/apirouter.db"
    [[ $kind != postgres ]] || url="postgres://postgres@127.0.0.1:4722/postgres"
    cat >"$work/$kind/gateway.yaml" <<G
server: { host: 127.0.0.1, port: ${port[$kind]} }
data_dir: data
storage: { url: "$url" }
providers_dir: ../providers
channels: channels.yaml
metering: { admission: $([[ $kind == off ]] && echo off || echo standard) }
log: { level: error }
G
    printf 'channels:\n  - { id: 1, name: sim, provider: sim, keys: [k], models: ["*"] }\n' >"$work/$kind/channels.yaml"
    taskset -c 0 "$bin/apirouter" serve --config "$work/$kind/gateway.yaml" >"$work/$kind.log" 2>&1 &
    pids+=($!)
    pid[$kind]=$!
    for _ in $(seq 200); do curl -fs -o /dev/null "localhost:${port[$kind]}/health/ready" && break; sleep 0.05; done
    curl -fs -o /dev/null "localhost:${port[$kind]}/api/balance/admin/add" -H "Authorization: Bearer $INITIAL_ROOT_ACCESS_TOKEN" \
        -d '{"user_id":1,"amount":1000000}'
done

text=$(printf 'The quick brown fox jumps over the lazy dog. %.0s' $(seq 20))
for kind in whole stream; do
    extra=$([[ $kind == stream ]] && echo '"stream":true,' || true)
    cat >"$work/$kind.lua" <<L
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer $INITIAL_ROOT_TOKEN"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model":"fast",$extra"messages":[{"role":"user","content":"$text"}]}'
L
done

ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
pg_ticks() { local sum=0 p; for p in $(pgrep -f "$pgbin/postgres -D $pgdata" | head -1) $(pgrep -f "^postgres: " || true); do
    sum=$((sum + $(ticks "$p" 2>/dev/null || echo 0))); done; echo $sum; }
run() { # books kind connections
    local before after out db
    before=$(ticks "${pid[$1]}"); db=$(pg_ticks)
    out=$(taskset -c 1 wrk -t1 -c"$3" -d"${seconds}s" --latency -s "$work/$2.lua" "http://127.0.0.1:${port[$1]}/v1/chat/completions")
    # What the poster still has to do belongs to these requests.
    for _ in $(seq 100); do curl -fs "localhost:${port[$1]}/metrics" | grep -q '^apirouter_unposted_records 0' && break; sleep 0.05; done
    after=$(ticks "${pid[$1]}"); db=$(( $(pg_ticks) - db ))
    python3 - "$1" "$2" "$3" "$before" "$after" "$db" "$work/rows.csv" "$out" <<'PY'
import re, sys
name, kind, connections, before, after, db, path, out = sys.argv[1:]
requests = int(re.search(r"(\d+) requests in", out).group(1))
if re.search(r"Non-2xx", out):
    sys.exit(f"{name}: bad answers\n{out}")
unit = {"us": 1, "ms": 1000, "s": 1000000}
p50 = (lambda m: float(m.group(1)) * unit[m.group(2)])(re.search(r"50%\s+([\d.]+)(us|ms|s)", out))
with open(path, "a") as file:
    file.write(f"{name},{kind},{connections},{requests},{(int(after) - int(before)) * 10000 / requests:.1f},{int(db) * 10000 / requests:.1f},{p50:.0f}\n")
PY
}
for round in $(seq "$rounds"); do
    for kind in whole stream; do
        for connections in 1 64; do
            for books in off sqlite postgres; do run $books $kind $connections; done
        done
    done
done
result=Benchmarks/results/books-$(date -u +%Y%m%d-%H%M).csv
{ echo "# $(date -u +%FT%TZ) $(git rev-parse --short HEAD) $(uname -sr) $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg), $rounds rounds of ${seconds}s"
  echo "books,kind,connections,requests,cpu_us_per_request,database_cpu_us,p50_us"; cat "$work/rows.csv"; } >"$result"
python3 - "$result" <<'PY'
import statistics, sys
rows = [line.strip().split(",") for line in open(sys.argv[1]) if not line.startswith(("#", "books"))]
median = lambda name, kind, c, column: statistics.median(float(r[column]) for r in rows if r[:3] == [name, kind, c])
print(f"{'books':9} {'kind':7} {'conn':>4} {'CPU µs/req':>11} {'× off':>6} {'db µs/req':>10} {'p50 µs':>8}")
for kind in ("whole", "stream"):
    for c in ("1", "64"):
        for name in ("off", "sqlite", "postgres"):
            cpu = median(name, kind, c, 4)
            print(f"{name:9} {kind:7} {c:>4} {cpu:11.0f} {cpu / median('off', kind, c, 4):6.2f} {median(name, kind, c, 5):10.0f} {median(name, kind, c, 6):8.0f}")
PY
for kind in sqlite postgres; do "$bin/apirouter" ledger verify --config "$work/$kind/gateway.yaml"; done
