"""console_pages.py BASE [--all]: every page of the console, once per role and language (`--all`: also every width and theme).

Each visit: a heading, the language, no complaint of the browser, nothing that axe finds, no sideways scrolling on a phone, and the budgets.
"""
import itertools
import sys

from axe_playwright_python.sync_playwright import Axe

from browser import Api, browser, visit, weight
from checks import check, finish

base = sys.argv[1]
every = "--all" in sys.argv

VISITOR = ["/", "/models", "/models/demo/echo", "/login", "/nothing-here"]
USER = ["/console", "/console/playground", "/console/keys", "/console/usage", "/console/billing", "/console/account"]
ADMIN = ["/console/channels", "/console/channels/1", "/console/routes", "/console/users", "/console/users/1", "/console/pricing",
         "/console/logs", "/console/money"]
ROOT = ["/console/audit", "/console/config", "/console/system"]
PAGES = {None: VISITOR, "alice": USER + ["/console/channels", "/console/config"], "adam": USER + ADMIN + ["/console/audit"],
         "root": USER + ADMIN + ROOT}
FORBIDDEN = {"alice": {"/console/channels", "/console/config"}, "adam": {"/console/audit"}}


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
    place.open(path)
    page = place.page
    check(f"{where}: one h1", page.locator("h1").count() == 1, page.locator("h1").all_inner_texts())
    check(f"{where}: lang", page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language])
    if path in FORBIDDEN.get(name, ()):
        check(f"{where}: refused", "/console/" in page.url and page.locator(".notice").count() == 1, page.url)
    elif path != "/nothing-here":
        check(f"{where}: no error", page.locator(".problem").count() == 0, page.locator("main").inner_text()[:400])
    if width < 600:
        check(f"{where}: no sideways scrolling", place.overflow() <= 0, place.overflow())
    findings = [(one["id"], [node["target"] for node in one["nodes"]][:4]) for one in Axe().run(page).response["violations"]]
    check(f"{where}: axe", not findings, findings)
    check(f"{where}: complaints", not place.complaints, place.complaints)
    calls = [one for one in place.requests if "/api/" in one.url and not one.url.endswith(("/api/status", "/api/user/session"))]
    check(f"{where}: at most three calls", len(calls) <= 3, [one.url for one in calls])
    check(f"{where}: at most 16 requests", len(place.requests) <= 16, [one.url for one in place.requests])
    check(f"{where}: at most 90 KB", weight(place.requests) <= 90_000, weight(place.requests))


def main():
    prepare()
    with browser() as instance:
        for name, language, width, theme in combinations():
            place = visit(instance, base, language, width, theme)
            if name:
                place.log_in(name)
            for path in PAGES[name]:
                look(place, path, name, language, width)
            if name is None:
                place.page.goto(base + "/console/keys?status=1")
                place.page.wait_for_url("**/login?next=*")
            place.page.context.close()
    finish()


main()
