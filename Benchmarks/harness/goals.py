"""What design.md asks for (section 10), with what was measured beside it; a goal that was missed says so."""

from .rows import table


def goals(results, plots):
    ours = dict(gateway="apirouter")
    m = results.median
    at = dict(connections=64)
    cpu = lambda name: m("requests", "cpu_us", gateway=name, **at)
    paced, unpaced = dict(streams=100, chunks=50, pace_ms=10), dict(streams=200, chunks=50, pace_ms=0)
    chunk = lambda name, shape: m("streams", "cpu_us", gateway=name, **shape)
    memory = lambda state: (lambda kb: kb and kb / 1024)(m("memory", "rss_kb", state=state, **ours))
    rows = []

    def goal(what, value, limit, form="{:.2f}", least=False):
        if value is None:
            return
        reached = value >= limit if least else value <= limit
        rows.append([what, f"{'≥' if least else '≤'} {limit:g}", form.format(value), "yes" if reached else "**no**"])

    def over(a, b):
        return a / b if a is not None and b else None

    goal("CPU per 1 KB request, × nginx", over(cpu("apirouter"), cpu("nginx")), 3)
    goal("books: governed ÷ ungoverned", over(cpu("apirouter"), cpu("apirouter-off")), 1.3)
    goal("LiteLLM's CPU per request ÷ ours", over(cpu("litellm"), cpu("apirouter")), 100, "{:.0f}", least=True)
    goal("CPU per request ÷ vllm-router's", over(cpu("apirouter"), cpu("vllm-router")), 1)
    goal("CPU per request ÷ sglang-router's", over(cpu("apirouter"), cpu("sglang-router")), 1)
    goal("added p50 at one connection, × nginx", over(m("added", "added_p50", **ours), m("added", "added_p50", gateway="nginx")), 2)
    goal("CPU per chunk, one each 10 ms, × nginx", over(chunk("apirouter", paced), chunk("nginx", paced)), 1.8)
    goal("CPU per chunk, unpaced, × nginx", over(chunk("apirouter", unpaced), chunk("nginx", unpaced)), 2)
    goal("memory idle, MB", memory("idle"), 40, "{:.0f}")
    goal("memory with 1,000 streams, MB", memory("streams-1000"), 100, "{:.0f}")
    goal("memory with 5,000 streams, MB", memory("streams-5000"), 350, "{:.0f}")
    modes = forty_ms(results)
    if modes is not None:
        rows.append(["no 40 ms mode at one connection", "none", "none" if not modes else f"{modes:.1%} of requests at 35–50 ms", "**no**" if modes else "yes"])
    return "## Goals\n\n" + table(["figure (governed)", "goal", "measured", "reached"], rows) + "\n" if rows else ""


def forty_ms(results):
    """Share of requests between 35 and 50 ms, where that is a mode (more than 0.2 %, and more than the ten milliseconds before)."""
    buckets = results.merged("added", "latency", gateway="apirouter")
    total = sum(buckets.values())
    if not total:
        return None
    within = lambda low, high: sum(n for value, n in buckets.items() if low <= value < high) / total
    mode = within(35_000, 50_000)
    return mode if mode > 0.002 and mode > within(20_000, 35_000) else 0
