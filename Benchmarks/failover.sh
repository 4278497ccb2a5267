#!/usr/bin/env bash
# What a failover adds: the same request to a model whose only channel is well, and to one whose first channel fails at once, alternately over
# one connection, so that noise hits both alike. Two ways to fail: a refused TCP connection, and a 503.
#
#   Benchmarks/failover.sh [REQUESTS]
#
# The cool-down is set to 1 ms, so that every request runs into the failure first. Prints medians and the difference.
set -euo pipefail
cd "$(dirname "$0")/.."
requests=${1:-2000}
bin=.build-release/release
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

upstream=4711 failing=4712 ours=4713
$bin/upstream-simulator --fast --port $upstream >"$work/sim.log" 2>&1 &
pids+=($!)
$bin/upstream-simulator --port $failing >"$work/failing.log" 2>&1 &
pids+=($!)

mkdir -p "$work/config" "$work/providers"
cat >"$work/config/gateway.yaml" <<G
server: { host: 127.0.0.1, port: $ours }
data_dir: ../data
storage: { url: "sqlite:../data/apirouter.db" }
providers_dir: ../providers
channels: channels.yaml
routing: { cooldown: { base: 1ms, max: 1ms }, retry_budget: { percent: 10000, per_minute: 1000000 } }
log: { level: warning }
G
cat >"$work/config/channels.yaml" <<C
channels:
  - { id: 1, name: well, provider: sim, keys: [k], models: ["well", "refused", "busy"] }
  - { id: 2, name: nobody, provider: sim, keys: [k], models: ["refused"], priority: 1, base_url: "http://127.0.0.1:9/v1" }
  - { id: 3, name: busy, provider: sim, keys: [k], models: ["busy"], priority: 1, base_url: "http://127.0.0.1:$failing/v1" }
C
cat >"$work/providers/sim.yaml" <<P
name: sim
adaptor: openai
base_url: http://127.0.0.1:$upstream/v1
default_price: { input: "1", output: "1" }
P
(cd "$work" && env -u OPENROUTER_API_KEY INITIAL_ROOT_ACCESS_TOKEN=at-0123456789abcdef INITIAL_ROOT_TOKEN=sk-0123456789abcdef \
    APIROUTER_SQL_DIR="$OLDPWD/sql" "$OLDPWD/$bin/apirouter" serve --config config/gateway.yaml >"$work/gateway.log" 2>&1) &
pids+=($!)
for _ in $(seq 100); do curl -fs "localhost:$ours/health/ready" >/dev/null 2>&1 && break; sleep 0.1; done
curl -fs "localhost:$ours/api/balance/admin/add" -H 'Authorization: Bearer at-0123456789abcdef' \
    -d '{"user_id":1,"amount":1000,"description":"bench"}' >/dev/null
curl -fs "localhost:$failing/_sim/script" -d '{"model":"*","controls":["status=503"],"repeat":true}' >/dev/null
python3 Benchmarks/failover.py $ours "$requests"
pkill -P "${pids[2]}" 2>/dev/null || true
