"""console_states.py BASE: errors, empty places, lists filtered to nothing, hostile texts, the keyboard alone, sessions that end, little money,
pictures in answers, keys that are rotated, providers of one's own.
"""
import base64
import json
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
    root.call("POST", "/api/balance/admin/add", {"user_id": user["id"], "amount": 3, "description": HOSTILE}, {"Idempotency-Key": "mallory"})
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
    page.get_by_role("heading", name="Billing", level=1).wait_for()
    place.settle()
    check("a hostile description stays text", page.locator("main img").count() == 0)


def refused_field(place):
    """What a field may have comes as codes, and is told in the reader's language."""
    page = place.page
    place.expected += ["400"]
    body = {"success": False, "message": "'limits.rpm' must be a whole number", "data": None, "code": "invalid_field",
            "details": {"field": "limits.rpm", "expected": ["integer", "min:1", "max:1000000"]}}
    page.route("**/api/token", lambda route: route.fulfill(status=400, body=json.dumps(body), headers={"Content-Type": "application/json"}))
    place.open("/console/keys")
    page.get_by_role("button", name="Create key").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Create key").click()
    told = page.get_by_role("dialog").get_by_role("alert").filter(has_text="Allowed")
    told.wait_for()
    check("the bounds are told", "a whole number, at least 1, at most 1,000,000" in told.inner_text(), told.inner_text())
    page.unroute("**/api/token")


def little_money(place):
    page = place.page
    place.open("/console/account")
    check("nothing is said while there is enough", not page.locator("aside").is_visible())
    threshold = page.get_by_label("Notice when the balance is below (USD)")
    threshold.fill("5")
    threshold.press("Tab")
    notice = page.locator("aside").get_by_text("left")
    notice.wait_for()
    for path in ("/console/usage", "/console/keys"):
        place.open(path)
        check("little money is told on every page", notice.count() == 1, page.locator("aside").inner_text())
    page.get_by_role("button", name="Hide until this tab is closed").click()
    place.open("/console/usage")
    check("and not again when it was sent away", not page.locator("aside").is_visible())


PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def pictures(place):
    """Pictures that come with an answer are shown; nothing is loaded from elsewhere."""
    page = place.page
    picture = {"type": "image_url", "image_url": {"url": PIXEL}}
    elsewhere = {"type": "image_url", "image_url": {"url": "https://elsewhere.example/track.png"}}
    vector = {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,PHN2Zy8+"}}
    deltas = [{"content": "Here it is"}, {"images": [picture]}, {"images": [picture, elsewhere, vector]}]
    lines = [f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n" for delta in deltas]
    page.route("**/api/playground/chat/completions", lambda route: route.fulfill(
        status=200, body="".join(lines) + "data: [DONE]\n\n", headers={"Content-Type": "text/event-stream"}))
    place.open("/console/playground")
    page.locator("input[type=file]").set_input_files(
        {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL.split(",")[1])})
    page.get_by_label("Message").fill("Draw something")
    page.get_by_role("button", name="Send").click()
    shown = page.get_by_role("img", name="Picture 1 from")
    shown.wait_for()
    place.settle()
    check("the picture is shown once", page.locator(".answer img").count() == 1 and shown.evaluate("node => node.naturalWidth") == 1)
    check("the prompt's picture is a thumbnail", page.locator(".user-turn img").count() == 1)
    check("others are not loaded", page.get_by_role("link", name="elsewhere.example").count() == 1
          and not [one for one in place.requests if "elsewhere.example" in one.url])
    page.unroute("**/api/playground/chat/completions")


def rotation(place):
    page = place.page
    sent = []

    def answer(route):
        sent.append(route.request.post_data_json)
        route.fulfill(status=200, headers={"Content-Type": "application/json"}, body=json.dumps(
            {"success": True, "message": "", "data": {"id": 1, "key": "sk-the-new-secret", "name": "one", "management": False}}))

    page.route(re.compile("/api/token/[0-9]+/rotate"), answer)
    place.open("/console/keys")
    page.locator(".row-open button").first.click()
    page.get_by_role("button", name="Rotate").click()
    dialog = page.get_by_role("dialog").filter(has_text="The old secret")
    dialog.get_by_label("The old secret").select_option(label="goes on for a day")
    dialog.get_by_role("button", name="Rotate").click()
    page.locator(".secret code").wait_for()
    check("the old secret's time is sent", sent == [{"grace_seconds": 86_400}], sent)
    page.get_by_role("button", name="I have saved it").click()
    page.unroute(re.compile("/api/token/[0-9]+/rotate"))


def sorting(instance):
    """A phone has no head of columns: a choice stands for it."""
    place = visit(instance, base, width=390)
    place.log_in("mallory")
    page = place.page
    place.open("/console/keys")
    page.get_by_label("Sort by").select_option("name asc")
    page.wait_for_url("**/console/keys?sort=name&order=asc")
    place.settle()
    check("nothing overflows", place.overflow() <= 0, place.overflow())
    check("a phone complains about nothing", not place.complaints, place.complaints)
    page.context.close()


def own_providers(instance, root):
    place = visit(instance, base)
    place.log_in("root")
    page = place.page
    place.open("/console/channels?tab=providers")
    page.get_by_role("button", name="Add provider").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the provider").fill("lab")
    dialog.get_by_label("Base URL").fill("http://127.0.0.1:9/v1")
    dialog.get_by_label("It needs a key").uncheck()
    dialog.get_by_label("Model", exact=True).fill("lab-large")
    dialog.get_by_label("Input, $ per million").fill("1.25")
    dialog.get_by_label("Output, $ per million").fill("2.5")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Change the provider lab").click()
    dialog = page.get_by_role("dialog")
    check("its prices are shown as they were typed", dialog.get_by_label("Input, $ per million").input_value() == "1.25")
    dialog.get_by_label("Name for people").fill("The lab")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("cell", name="The lab lab").wait_for()
    made = root.call("GET", "/api/provider/lab")
    check("only what was changed is sent", (made["display_name"], made["needs_key"], made["models"][0]["pricing_input"])
          == ("The lab", False, 0.00000125), made)
    root.call("POST", "/api/channel", {"name": "lab-1", "provider": "lab", "models": ["lab-large"], "weight": 0})
    place.open("/console/channels?tab=providers")
    check("who uses it is told", page.get_by_role("link", name="lab-1").count() == 1)
    page.get_by_role("button", name="Delete the provider The lab?").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete with 1 channel").click()
    page.get_by_text("No providers of your own yet").wait_for()
    check("its channel went with it", all(one["name"] != "lab-1" for one in root.call("GET", "/api/channel")))
    check("root's pages complain about nothing", not place.complaints, place.complaints)
    page.context.close()


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
        refused_field(place)
        little_money(place)
        pictures(place)
        rotation(place)
        sorting(instance)
        own_providers(instance, root)
        lost_session(place, root)
        place.open("/console/usage")
        check("hostile names in the log stay text", place.page.locator("main img").count() == 0)
        check("nothing was complained about", not place.complaints, place.complaints)
    finish()


main()
