"""console_first_minutes.py BASE: the first five minutes of a new gateway, by hand as a person would, counting the presses."""
import sys

from browser import Api, PASSWORD, browser, visit
from checks import check, finish

base = sys.argv[1]


class Hand:
    """Presses what a person sees by its name, and counts."""

    def __init__(self, page):
        self.page = page
        self.presses = 0

    def press(self, name, role="button", within=None, exact=True):
        (within or self.page).get_by_role(role, name=name, exact=exact).first.click()
        self.presses += 1


def main():
    with browser() as instance:
        place = visit(instance, base)
        page = place.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        hand = Hand(page)
        page.goto(base + "/login")
        page.get_by_label("User name").fill("root")
        page.get_by_label("Password").fill(PASSWORD)
        hand.press("Log in", within=page.locator("form"))
        page.wait_for_url("**/console")
        place.settle()
        page.get_by_role("heading", name="First steps").wait_for()

        hand.press("Add balance", within=page.locator(".first-steps"))
        dialog = page.get_by_role("dialog")
        hand.press("Add balance", within=dialog)
        page.get_by_text("$10.00").first.wait_for()

        hand.press("Create key", within=page.locator(".first-steps"))
        page.get_by_role("dialog").get_by_label("Name", exact=True).fill("my first key")
        hand.press("Create key", within=page.get_by_role("dialog"))
        secret = page.locator(".secret code").inner_text()
        check("the key is shown", secret.startswith("sk-"), secret)
        hand.press("Copy", within=page.locator(".secret"))
        check("the key is on the clipboard", page.evaluate("navigator.clipboard.readText()") == secret)
        page.get_by_role("button", name="I have saved it").click()
        check("the key is gone", secret not in page.content())

        hand.press("Open the playground", role="link")
        place.settle()
        page.get_by_label("Message").fill("Hello out there")
        hand.press("Send")
        page.get_by_text("$0.000012").first.wait_for()
        check("the answer is there", "Hello out there" in page.locator("main").inner_text())
        check("at most eight presses", hand.presses <= 8, hand.presses)

        row = Api(base).call("GET", "/api/log/self?page_size=1")["items"][0]
        check("its row says the same", row["cost"] == 0.000012 and row["token_id"] is None, row)
        page.get_by_role("link", name="Log row").first.click()
        page.wait_for_url(f"**/console/usage?request_id={row['request_id']}")
        page.get_by_role("dialog").get_by_text(row["request_id"]).first.wait_for()
        page.keyboard.press("Escape")

        page.goto(base + "/console")
        place.settle()
        steps = page.locator(".first-steps")
        check("what is done is ticked off", steps.locator("li.done").count() == 3 and steps.get_by_role("button", name="Add balance").count() == 0)
        check("nothing was complained about", not place.complaints, place.complaints)
    finish()


main()
