"""Alternates requests to `well`, `refused` and `busy` over one connection and compares medians. See failover.sh."""
import http.client, json, statistics, sys, time

port, count = int(sys.argv[1]), int(sys.argv[2])
connection = http.client.HTTPConnection("127.0.0.1", port)
times = {"well": [], "refused": [], "busy": []}
headers = {"Authorization": "Bearer sk-0123456789abcdef", "Content-Type": "application/json"}
for number in range(count + 50):
    for model in times:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
        start = time.perf_counter_ns()
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        spent = time.perf_counter_ns() - start
        if answer.status != 200:
            sys.exit(f"{model}: {answer.status}")
        if number >= 50:
            times[model].append(spent / 1e6)
        time.sleep(0.0015)  # longer than the cool-down, so that the failing channel is tried again

connection.request("GET", "/metrics")
metrics = connection.getresponse().read().decode()
print("| model | p50 ms | p90 ms | p99 ms | p50 added by the failover |\n|---|---:|---:|---:|---:|")
base = statistics.median(times["well"])
for model, list_ in times.items():
    list_.sort()
    p = lambda q: list_[int(len(list_) * q)]
    print(f"| {model} | {p(.5):.3f} | {p(.9):.3f} | {p(.99):.3f} | {p(.5) - base:+.3f} ms |")
for line in metrics.splitlines():
    if line.startswith("apirouter_attempts_total"):
        print("    " + line)
