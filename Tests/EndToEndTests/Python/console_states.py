"""console_states.py BASE: errors, empty places, lists filtered to nothing, hostile texts, the keyboard alone, sessions that end."""
import re
import sys

from browser import Api, browser, visit
from checks import check, finish

base = sys.argv[1]
HOSTILE = '<img src=x onerror="document.title=\'taken over\'"><b>bold</b>'


def prepare():
    root = Api(base)
    root.call("POST", "/api/user", {"username": "mallory", "password": "a-root-password", "role": 1, "display_name": HOSTILE})
    user = next(one for one in root.call("GET", "/api/user")["items"] if one["username"] == "mallory")
    root.call("POST", "/api/balance/admin/add", {"user_id": user["id"], "amount": 1, "description": HOSTILE}, {"Idempotency-Key": "mallory"})
    return root


def empty_and_filtered(place):
    page = place.page
    place.open("/console/keys")
    check("empty: says so and offers the action", page.locator(".empty").get_by_role("button", name="Create key").count() == 1)
    place.open("/console/usage")
    check("empty usage", page.locator(".empty").count() >= 1)


def keyboard(place):
    """A key made without a mouse; the focus comes back to where it was."""
    page = place.page
    place.open("/console/keys")
    create = page.get_by_role("button", name="Create key").first
    create.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    check("escape returns the focus", create.evaluate("node => node === document.activeElement"))
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_label("Name").first.focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    secret = page.locator(".secret code")
    secret.wait_for()
    text = secret.inner_text()
    page.keyboard.press("Escape")
    check("a secret is not closed by accident", secret.count() == 1)
    done = page.get_by_role("button", name="I have saved it")
    done.focus()
    page.keyboard.press("Enter")
    secret.wait_for(state="detached")
    check("the secret is gone", text not in page.content())
    place.settle()
    page.get_by_text(HOSTILE, exact=True).first.wait_for()
    check("hostile text stays text", page.locator("main img").count() == 0 and "taken over" not in page.title())
    return text


def filtered(place):
    page = place.page
    place.open("/console/keys?q=no-key-has-this-name")
    check("filtered to nothing is not empty", page.get_by_text("Nothing matches").count() == 1, page.locator("main").inner_text())
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_text(HOSTILE, exact=True).first.wait_for()
    check("the address forgets the filter", "q=" not in page.url, page.url)


def errors(place):
    page = place.page
    place.expected += ["503"]
    body = '{"success":false,"message":"the database does not answer","data":null,"code":"unavailable"}'
    page.route(re.compile("/api/token"), lambda route: route.fulfill(
        status=503, body=body, headers={"Content-Type": "application/json", "X-Request-Id": "0192-the-request"}))
    place.open("/console/keys")
    problem = page.get_by_role("alert").filter(has=page.get_by_role("button", name="Retry"))
    problem.wait_for()
    check("an error has code and request id", "unavailable" in problem.inner_text() and "0192-the-request" in problem.inner_text(),
          problem.inner_text())
    page.unroute(re.compile("/api/token"))
    page.get_by_role("button", name="Retry").click()
    page.get_by_text(HOSTILE, exact=True).first.wait_for()
    check("retry loads what was missing", page.get_by_role("alert").filter(has=page.get_by_role("button", name="Retry")).count() == 0)


def choices_survive(place):
    page = place.page
    place.open("/console")
    page.get_by_role("button", name="中文").click()
    page.wait_for_selector("html[lang='zh-CN']")
    page.get_by_role("button", name="深色主题").click()
    page.reload()
    place.settle()
    check("language and theme survive a reload", page.locator("html[lang='zh-CN'][data-theme='dark']").count() == 1)
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("html[lang='en']")
    page.get_by_role("button", name="Light theme").click()


def lost_session(place, root):
    """A session that ends while a form is filled in: the login opens over the page, and nothing is lost."""
    page = place.page
    place.expected += ["401"]
    place.open("/console/keys")
    page.get_by_role("button", name="Create key").first.click()
    page.get_by_role("dialog").get_by_label("Name").first.fill("typed before the end")
    page.context.clear_cookies()
    page.get_by_role("dialog").get_by_role("button", name="Create key").click()
    login = page.get_by_role("dialog").filter(has=page.locator("input[type=password]"))
    login.wait_for()
    login.get_by_label("Password").fill("a-root-password")
    login.get_by_role("button", name="Continue").click()
    page.locator(".secret code").wait_for()
    page.get_by_role("button", name="I have saved it").click()
    page.get_by_text("typed before the end").first.wait_for()
    check("the key was made after the login", True)


def palette(place):
    page = place.page
    place.open("/console")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to a page").wait_for()
    page.keyboard.type("billing")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/billing")
    place.settle()
    check("the palette goes to a page", page.locator("h1").inner_text() == "Billing")
    check("a hostile description stays text", page.locator("main img").count() == 0)


def main():
    root = prepare()
    with browser() as instance:
        place = visit(instance, base)
        place.log_in("mallory")
        empty_and_filtered(place)
        secret = keyboard(place)
        Api(base, "mallory").chat(secret, HOSTILE)
        filtered(place)
        errors(place)
        choices_survive(place)
        palette(place)
        lost_session(place, root)
        place.open("/console/usage")
        check("hostile names in the log stay text", place.page.locator("main img").count() == 0)
        check("nothing was complained about", not place.complaints, place.complaints)
    finish()


main()
