"""console_pictures.py BASE FOLDER: the pictures of the README, taken from a new gateway with the shipped configuration and some traffic."""
import os
import sys

from browser import Api, browser, visit
from checks import check, finish

base, folder = sys.argv[1], sys.argv[2]


def prepare():
    root = Api(base)
    people = ["alice", "bob"]
    for name in people:
        root.call("POST", "/api/user", {"username": name, "password": "a-root-password", "role": 1})
    for user in root.call("GET", "/api/user")["items"]:
        root.call("POST", "/api/balance/admin/add", {"user_id": user["id"], "amount": 25, "description": "First recharge"},
                  {"Idempotency-Key": f"first-{user['id']}"})
    for name, keys in (("root", ["laptop"]), ("alice", ["claude-code", "notebook"]), ("bob", ["website"])):
        someone = Api(base, name)
        for number, key in enumerate(keys):
            made = someone.call("POST", "/api/token", {"name": key, "limits": {"budget": {"month": 0.01 * (number + 1)}}})
            for turn in range(12):
                someone.chat(made["key"], "Tell me about lighthouses, and why they blink. " * (turn % 5 + 1))


def take(place, name):
    path = os.path.join(folder, name)
    place.page.screenshot(path=path, animations="disabled", caret="hide")
    check(f"{name} is small", os.path.getsize(path) < 150_000, os.path.getsize(path))


def main():
    os.makedirs(folder, exist_ok=True)
    prepare()
    with browser() as instance:
        place = visit(instance, base)
        place.log_in("root")
        place.page.evaluate("localStorage.setItem('firstSteps:1', 'done')")
        place.open("/console")
        take(place, "overview.png")
        place.open("/console/playground")
        place.page.get_by_label("Message").fill("Why do lighthouses blink?")
        place.page.get_by_role("button", name="Send").click()
        place.page.get_by_role("link", name="Log row").first.wait_for()
        take(place, "playground.png")
        place.page.context.close()
        place = visit(instance, base, "zh", theme="dark")
        place.log_in("root")
        place.open("/console/channels")
        take(place, "channels-zh.png")
        place.page.context.close()
    finish()


main()
