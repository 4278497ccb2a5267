"""console_pages.py BASE [--all] [--role NAME]… [--table FILE]: every page of the console, once per role and language (`--all`: also every width and theme).

Each visit: a heading, the language, no complaint of the browser, nothing that axe finds, no sideways scrolling on a phone, and the budgets
(docs/decisions/0015), counted as for a browser that keeps nothing. `--table` writes what was counted as a table of Markdown;
`--role` visits those of some only: visitor, alice (a user), adam (an administrator), root.
"""
import argparse
import itertools
import statistics
import time

from axe_playwright_python.sync_playwright import Axe

from browser import Api, browser, visit, weight
import checks
from checks import check, finish

arguments = argparse.ArgumentParser()
arguments.add_argument("base")
arguments.add_argument("--all", action="store_true")
arguments.add_argument("--role", action="append")
arguments.add_argument("--table")
options = arguments.parse_args()
base = options.base
every = options.all

VISITOR = ["/", "/models", "/models/demo/echo", "/login"]
USER = ["/console", "/console/playground", "/console/keys", "/console/usage", "/console/billing", "/console/account"]
ADMIN = ["/console/channels", "/console/channels/1", "/console/routes", "/console/users", "/console/users/1", "/console/pricing",
         "/console/logs", "/console/money"]
ROOT = ["/console/channels?tab=providers", "/console/audit", "/console/config", "/console/system", "/console/nothing-here"]
PAGES = {None: VISITOR, "alice": USER + ["/console/channels", "/console/config"], "adam": USER + ADMIN + ["/console/audit"],
         "root": USER + ADMIN + ROOT}
FORBIDDEN = {"alice": {"/console/channels", "/console/config"}, "adam": {"/console/audit"}}


REQUESTS, CALLS, FILES_KB, ALL_KB = 15, 3, 60, 110
failures = []
seen = {}


def note(name, condition, detail=""):
    """A check that does not end the run, so that one visit shows all that is wrong."""
    if condition:
        checks.count += 1
    else:
        failures.append(f"{name}: {detail}")


def prepare():
    root = Api(base)
    for name, role in (("alice", 1), ("adam", 10)):
        root.call("POST", "/api/user", {"username": name, "password": "a-root-password", "role": role})
    for user in root.call("GET", "/api/user")["items"]:
        root.call("POST", "/api/balance/admin/add", {"user_id": user["id"], "amount": 10, "description": "<b>welcome</b>"},
                  {"Idempotency-Key": f"welcome-{user['id']}"})
    for name in ("root", "alice", "adam"):
        someone = Api(base, name)
        key = someone.call("POST", "/api/token", {"name": '<img src=x onerror="alert(1)">'})["key"]
        for _ in range(3):
            someone.chat(key, "Hello out there <script>alert(1)</script>")
    return root


def combinations():
    """Once per role and language; width and theme alternate, so that each is seen with each role."""
    if every:
        return list(itertools.product(PAGES, ("en", "zh"), (1280, 390), ("light", "dark")))
    return [(name, language, (1280, 390)[(index + turn) % 2], ("light", "dark")[turn])
            for index, name in enumerate(PAGES) for turn, language in enumerate(("en", "zh"))]


def look(place, path, name, language, width):
    where = f"{path} as {name or 'visitor'} in {language} at {width}"
    begun = time.monotonic()
    place.open(path)
    taken = time.monotonic() - begun
    page = place.page
    note(f"{where}: one h1", page.locator("h1").count() == 1, page.locator("h1").all_inner_texts())
    note(f"{where}: lang", page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language])
    if path in FORBIDDEN.get(name, ()):
        note(f"{where}: refused", "/console/" in page.url and page.locator(".notice").count() == 1, page.url)
    elif path != "/console/nothing-here":
        note(f"{where}: no error", page.locator(".problem").count() == 0, page.locator("main").inner_text()[:400])
    if width < 600:
        note(f"{where}: no sideways scrolling", place.overflow() <= 0, place.overflow())
    findings = [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in Axe().run(page).response["violations"]]
    note(f"{where}: axe", not findings, findings)
    note(f"{where}: complaints", not place.complaints, place.complaints)
    place.complaints.clear()
    calls = [one.url.removeprefix(base) for one in place.requests if "/api/" in one.url]
    note(f"{where}: at most {CALLS} calls", len(calls) <= CALLS, calls)
    names = [one.url.rsplit("/assets/", 1)[-1] for one in place.requests]
    note(f"{where}: at most {REQUESTS} requests", len(names) <= REQUESTS, names)
    files = weight([one for one in place.requests if "/assets/" in one.url])
    note(f"{where}: at most {FILES_KB} KB of files", files[1] <= FILES_KB * 1000, files)
    everything = weight(place.requests)
    note(f"{where}: at most {ALL_KB} KB in all", everything[1] <= ALL_KB * 1000, everything)
    seen.setdefault(path, []).append({
        "requests": len(names), "calls": len(calls), "raw": everything[0], "packed": everything[1], "files": files[1], "time": taken,
        "axe": len(findings), "overflow": place.overflow(),
    })


def table():
    """The worst of all visits to a page, and the time of the one in the middle."""
    lines = ["| page | requests | API calls | KB raw | KB gz | of it files | ms to content | axe | overflow |", "|---|---|---|---|---|---|---|---|---|"]
    for path, visits in seen.items():
        worst = {name: max(visit[name] for visit in visits) for name in visits[0]}
        lines.append(f"| `{path}` | {worst['requests']} | {worst['calls']} | {worst['raw'] / 1000:.0f} | {worst['packed'] / 1000:.0f} "
                     f"| {worst['files'] / 1000:.0f} | {statistics.median(visit['time'] for visit in visits) * 1000:.0f} "
                     f"| {worst['axe']} | {max(0, worst['overflow'])} |")
    return "\n".join(lines) + "\n"


def main():
    prepare()
    with browser() as instance:
        for name, language, width, theme in combinations():
            if options.role and (name or "visitor") not in options.role:
                continue
            place = visit(instance, base, language, width, theme)
            place.forget_files()
            if name:
                place.log_in(name)
                # As a gateway is after its first minutes; those have a test of their own.
                place.page.evaluate("for (const id of [1, 2, 3]) localStorage.setItem(`firstSteps:${id}`, 'done')")
            for path in PAGES[name]:
                look(place, path, name, language, width)
            if name is None:
                place.page.goto(base + "/console/keys?status=1")
                place.page.wait_for_url("**/login?next=*")
            place.page.context.close()
    if options.table:
        with open(options.table, "w") as file:
            file.write(table())
    check("all pages are well", not failures, "\n" + "\n".join(failures))
    finish()


main()
