"""console_races.py BASE: answers that come late or in another order, what is typed and must not be lost, and what a hand does too early.

Requests are held and let go by the script, so that nothing depends on how fast the machine is.
"""
import json
import re
import sys
import urllib.parse

from browser import Api, browser, visit
from checks import check, finish

base = sys.argv[1]
root = None


class Held:
    """Requests of a pattern wait until they are let go."""

    def __init__(self, page, pattern):
        self.page, self.pattern, self.routes = page, re.compile(pattern), []
        page.route(self.pattern, lambda route: self.routes.append(route))

    def wait(self, count=1):
        for _ in range(600):
            if len(self.routes) >= count:
                return self
            self.page.wait_for_timeout(50)
        raise AssertionError(f"nobody asked for {self.pattern.pattern}")

    def release(self):
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.pattern)


def answer(data, status=200):
    return {"status": status, "content_type": "application/json", "body": json.dumps({"success": status < 400, "message": "", "data": data, **(
        {} if status < 400 else {"code": "unavailable"})})}


def prepare():
    global root
    root = Api(base)
    root.call("POST", "/api/balance/admin/add", {"user_id": 1, "amount": 5}, {"Idempotency-Key": "races"})
    key = root.call("POST", "/api/token", {"name": "races"})["key"]
    for _ in range(3):
        root.chat(key, "Hello out there")
    for name in ("carol", "dave"):
        root.call("POST", "/api/user", {"username": name, "password": "a-root-password", "role": 1})


def module(page, name):
    """A module of the console as the page itself has loaded it."""
    return page.evaluate_handle(
        "async (name) => import(document.querySelector('script[type=module]').src.replace('app.js', name))", name)


def path_of(page):
    url = urllib.parse.urlsplit(page.url)
    return url.path + ("?" + url.query if url.query else "")


def addresses(place):
    page = place.page
    # No user has such a number, and the server says so.
    place.expected.append("400")
    for path in ("/console/users/%zz", "/models/%zz", "/models/a%2"):
        place.open(path)
        check(f"{path} has a heading", page.locator("main h1").inner_text() != "")
    place.expected.remove("400")


def amounts(place):
    """Sums and prices to the last place, and times that a clock leaves out."""
    page = place.page
    place.open("/console")
    texts = module(page, "lib/base.js")
    for amounts, sum in (([0.1, 0.2], 0.3), ([1.005, -0.1, -0.9], 0.005), ([5.000000001, -5], 0.000000001)):
        check(f"the sum of {amounts}", texts.evaluate("(module, list) => module.sumOf(...list)", amounts) == sum)
    for zone, day in (("America/Santiago", "2026-09-06"), ("Africa/Cairo", "2026-04-24"), ("Europe/Berlin", "2026-03-29")):
        begun = texts.evaluate("(module, [day, zone]) => module.zoned(module.unzoned(`${day}T00:00`, zone), zone)", [day, zone])
        check(f"{day} begins on itself in {zone}", begun.startswith(day), begun)
    check("a minute has sixty seconds", texts.evaluate("(module) => module.duration(119_900)") == "1 min 59 s")
    admin = module(page, "lib/admin.js")
    for text, power, result in ((".5", -6, "0.0000005"), ("5e-1", -6, "0.0000005"), ("1234.5", -6, "0.0012345"), ("1.", 0, "1"), (1.7e-8, 6, "0.017")):
        check(f"{text} moved by {power}", admin.evaluate("(module, [text, power]) => module.decimal(text, power)", [text, power]) == result)
    check("no number is no price", admin.evaluate("(module) => module.perToken('-1') === undefined && module.perToken('') === undefined"))


def left_pages(place):
    """A page that was left before it came asks nothing and writes nothing into the next one's address."""
    page = place.page
    place.open("/console/keys")
    late = Held(page, r"/pages/routes\.js")
    page.get_by_role("link", name="Routes", exact=True).click()
    late.wait()
    page.get_by_role("link", name="Billing", exact=True).click()
    page.get_by_role("heading", name="Billing", level=1).wait_for()
    place.settle()
    place.requests.clear()
    late.release()
    module(page, "pages/routes.js")
    page.get_by_role("link", name="Account", exact=True).click()
    page.get_by_role("heading", name="Account", level=1).wait_for()
    place.settle()
    strange = [one.url for one in place.requests if "/api/models" in one.url or "/api/route" in one.url]
    check("a page that was left asks nothing", not strange, strange)
    check("its address is left alone", path_of(page) == "/console/account", page.url)

    place.open("/console/keys")
    page.get_by_label("Search").fill("nobody")
    page.get_by_role("link", name="Account", exact=True).click()
    page.get_by_role("heading", name="Account", level=1).wait_for()
    # The list would begin to search 350 ms after the last key: this timer comes after that one.
    page.evaluate("new Promise((wake) => setTimeout(wake, 400))")
    check("a filter that was left is none of the next page's", path_of(page) == "/console/account", page.url)


def late_texts(place):
    page = place.page
    place.open("/console/keys")
    texts = Held(page, r"/lang/en-admin\.js")
    page.get_by_role("link", name="Channels", exact=True).click()
    texts.wait()
    page.get_by_role("link", name="Prices", exact=True).click()
    module(page, "pages/pricing.js")
    page.evaluate("new Promise((wake) => setTimeout(wake))")
    check("a page waits for its texts", not place.complaints, place.complaints)
    texts.release()
    page.get_by_role("heading", name="Prices", level=1).wait_for()
    place.settle()
    check("and has them", page.get_by_role("button", name="Without a price").count() == 1)


def key_row(number):
    return {"id": number, "name": f"row-{number}", "key_prefix": "sk-x", "status": 1, "limits": {}, "models": [], "spent": {}, "expires_at": None,
            "accessed_at": None, "created_at": 1, "management": False}


def lists(place):
    """Further rows, and filters that change while they are on their way."""
    page = place.page
    held = []

    def rows(route):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(route.request.url).query))
        number = int(query["page"])
        if query.get("q") == "broken":
            return route.fulfill(**answer(None, 503))
        if query.get("q"):
            return route.fulfill(**answer({"items": [key_row(100)], "page": 1, "page_size": 1, "total": 1}))
        if number == 3:
            return held.append(route)
        return route.fulfill(**answer({"items": [key_row(number)], "page": number, "page_size": 1, "total": 4}))

    page.route(re.compile(r"/api/token\?"), rows)
    place.expected.append("503")
    place.open("/console/keys")
    more = page.get_by_role("button", name="Load more")
    more.focus()
    page.keyboard.press("Enter")
    page.get_by_text("row-2").wait_for()
    check("the focus stays on “Load more”", more.evaluate("node => node === document.activeElement"))
    more.click()
    page.get_by_label("Search").fill("filtered")
    page.get_by_text("row-100").wait_for()
    for route in held:
        route.fulfill(**answer({"items": [key_row(3)], "page": 3, "page_size": 1, "total": 4}))
    place.settle()
    names = page.locator("main tbody tr").all_inner_texts()
    check("late rows of other filters stay out", len(names) == 1 and "row-100" in names[0], names)
    page.get_by_label("Search").fill("broken")
    page.get_by_role("button", name="Retry").wait_for()
    check("rows of other filters do not stay beside an error", page.get_by_text("row-100").count() == 0)
    page.unroute(re.compile(r"/api/token\?"))


def unfolded(place):
    """What is unfolded stays so when the figures are loaded again."""
    page = place.page
    place.open("/console/usage")
    page.get_by_text("As a table").click()
    place.requests.clear()
    page.get_by_label("Model").press("Enter")
    place.settle()
    check("the figures were loaded again", any("/api/stats/series" in one.url for one in place.requests))
    check("the table stays unfolded", page.locator("main details[open]").count() == 1)


def copied(place):
    """Over plain HTTP there is no clipboard for scripts; the secret of a rotated key is shown above another dialog."""
    page = place.page
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { get: () => undefined })")
    place.open("/console/keys")
    page.get_by_role("button", name="Details: races").click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    page.get_by_role("dialog").last.get_by_role("button", name="Rotate").click()
    secret = page.locator(".secret code").inner_text()
    page.locator(".secret").get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    page.get_by_role("button", name="I have saved it").click()
    page.locator(".secret").wait_for(state="detached")
    page.get_by_label("Search").fill("")
    page.get_by_label("Search").focus()
    page.keyboard.press("Control+v")
    check("the secret is on the clipboard", page.get_by_label("Search").input_value() == secret)


def amounts_in_forms(place):
    page = place.page
    place.open("/console/users/1")
    page.get_by_role("button", name="Add balance").click()
    dialog = page.get_by_role("dialog")
    amount = dialog.get_by_label("Amount (USD)")
    amount.fill("15")
    dialog.get_by_role("button", name="$10.00").click()
    check("a usual amount can be chosen again", amount.input_value() == "10", amount.input_value())
    amount.fill("12345678.123456789")
    page.mouse.click(4, 300)
    check("a press beside a form that was filled in does not close it", amount.count() == 1)
    before = root.call("GET", "/api/user/1")["balance"]
    with page.expect_request(re.compile("/api/balance/admin/add")) as sent:
        dialog.locator("button[type=submit]").click()
    check("the amount is sent as it was typed", sent.value.post_data_json["amount"] == "12345678.123456789", sent.value.post_data)
    dialog.wait_for(state="detached")
    check("it was added", root.call("GET", "/api/user/1")["balance"] > before + 12345678)
    page.get_by_role("button", name="Add balance").click()
    amount.wait_for()
    page.mouse.click(4, 300)
    amount.wait_for(state="detached")


def prices(place):
    page = place.page
    root.call("PUT", "/api/models/pricing", {"model_name": "races/model", "pricing_input": "0.000003", "pricing_output": "0.000004",
                                              "pricing_cache_read": "0.000001"})
    place.open("/console/pricing?q=races")
    row = page.locator("tbody tr").filter(has_text="races/model")

    def type_price(text):
        row.get_by_role("button", name=re.compile("Edit: Cache read")).click()
        row.locator("input").fill(text)
        page.keyboard.press("Enter")
        row.get_by_role("button", name=re.compile("Edit: Cache read")).wait_for()

    def price():
        return next(one for one in root.call("GET", "/api/models/pricing") if one["model_name"] == "races/model")["pricing_cache_read"]

    for text, value in ((".5", 5e-7), ("25e-2", 2.5e-7)):
        type_price(text)
        check(f"{text} is a price", price() == value, price())
    page.get_by_role("button", name="All prices of races/model").click()
    dialog = page.get_by_role("dialog")
    check("the form shows it as it is", dialog.get_by_label("Cache read").input_value() == "0.25")
    page.keyboard.press("Escape")


def expiries(place):
    page = place.page
    place.open("/console/keys")
    page.get_by_role("button", name="Create key").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("not for ever")
    dialog.get_by_label("Expires").select_option(label="At a time of your choice")
    dialog.get_by_role("button", name="Create key").click()
    check("a time of one's choice is asked for", dialog.get_by_text("This is needed.").count() == 1)
    page.keyboard.press("Escape")
    check("no key that never expires was made", all(one["name"] != "not for ever" for one in root.call("GET", "/api/token")["items"]))


def kept_forms(place):
    """One form of a page is saved, another one has text."""
    page = place.page
    carol = next(one for one in root.call("GET", "/api/user?q=carol")["items"])
    place.open(f"/console/users/{carol['id']}")
    page.get_by_label("Display name").fill("typed before")
    page.get_by_label("Requests per minute").fill("77")
    page.locator("form").filter(has=page.get_by_label("Requests per minute")).locator("button[type=submit]").click()
    page.get_by_text("Saved", exact=True).first.wait_for()
    place.settle()
    check("the limit is saved", root.call("GET", f"/api/user/{carol['id']}")["limits"]["rpm"] == 77)
    check("the other form keeps its text", page.get_by_label("Display name").input_value() == "typed before")


def configuration(place):
    page = place.page
    place.open("/console/config")
    names = page.locator(".file-list button")
    text = page.get_by_label("Text of the file")
    first, second = names.nth(0).inner_text(), names.nth(1).inner_text()
    begun = text.input_value()
    late = Held(page, r"/api/config/file\?path=")
    names.nth(1).click()
    late.wait()
    check("nothing can be typed into a file that is on its way", text.get_attribute("readonly") is not None)
    names.nth(0).click()
    check("its text is that of the file again", text.input_value() == begun)
    check("and so is what is above it", first in page.locator(".editor-bar").inner_text(), page.locator(".editor-bar").inner_text())
    late.release()
    if text.get_attribute("readonly") is not None:
        return
    text.fill(begun + "\n# typed and not saved\n")
    page.get_by_role("link", name="System", exact=True).click()
    page.get_by_role("heading", name="System", level=1).wait_for()
    page.get_by_role("link", name="Configuration", exact=True).click()
    page.get_by_role("heading", name="Configuration", level=1).wait_for()
    place.settle()
    names.nth(0).click()
    check("what was typed is there after another page", text.input_value().endswith("# typed and not saved\n"), second)
    page.get_by_role("button", name="Undo all").click()
    check("and it can be undone", text.input_value() == begun)


def routes(place):
    page = place.page
    place.open("/console/routes?model=demo/echo")
    model = page.get_by_label("Model", exact=True)
    page.get_by_text("Order of attempts").first.wait_for()
    model.fill("")
    page.get_by_text("Choose a model").first.wait_for()
    model.fill("demo/echo")
    page.get_by_text("Order of attempts").first.wait_for(timeout=20_000)
    check("a model that is chosen again is explained again", page.get_by_text("Choose a model").count() == 0)


def rankings(place):
    page = place.page
    place.open("/models")
    page.get_by_role("button", name="Most used").click()
    check("the ranking stands in the address", path_of(page) == "/models?view=use", page.url)
    page.reload()
    place.settle()
    check("and is there after a reload", page.get_by_role("button", name="Most used").get_attribute("aria-pressed") == "true")


def tests_of_channels(place):
    """Two tests of one channel of which the first ends last."""
    page = place.page
    waiting = []
    figures = {"ok": True, "status": 200, "failure": None, "detail": None, "first_content_ms": 1, "total_ms": 2, "prompt_tokens": 1, "completion_tokens": 1,
               "charge": 0, "upstream_cost": None}

    def test(route):
        name = (route.request.post_data_json or {}).get("model")
        if name is None:
            return waiting.append(route)
        return route.fulfill(**answer({**figures, "model": name, "upstream_model": name}))

    place.open("/console/channels/1")
    page.route(re.compile("/api/channel/1/test"), test)
    page.get_by_role("button", name="Test", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Model").fill("second")
    dialog.get_by_role("button", name="Test again").click()
    dialog.locator(".facts").get_by_text("second").wait_for()
    for route in waiting:
        route.fulfill(**answer({**figures, "model": "first", "upstream_model": "first"}))
    page.evaluate("new Promise((wake) => setTimeout(wake))")
    check("the last test counts", len(waiting) == 1 and dialog.locator(".facts").get_by_text("second").count() == 1)
    page.keyboard.press("Escape")
    page.unroute(re.compile("/api/channel/1/test"))


def playground(place):
    """A pane's turn is sent again while the other pane is still answering."""
    page = place.page
    failing = {"on": True}
    held = []

    def chat(route):
        if failing["on"]:
            failing["on"] = False
            return route.fulfill(**answer(None, 503))
        if not held:
            return held.append(route)
        return route.continue_()

    place.open("/console/playground")
    page.route(re.compile("/api/playground/chat/completions"), chat)
    page.get_by_role("button", name="Compare two").click()
    page.get_by_label("Message").fill("Said once")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Retry").click()
    panes = page.locator(".pane")
    panes.filter(has=page.get_by_role("link", name="Log row")).first.wait_for()
    check("both panes have the turn", panes.get_by_text("Said once", exact=True).count() >= 2, panes.all_inner_texts())
    check("the other one still answers", page.get_by_role("button", name="Stop").is_visible())
    for route in held:
        route.continue_()
    page.get_by_role("button", name="Send").wait_for()
    page.unroute(re.compile("/api/playground/chat/completions"))


def little_money(place):
    """The notice of little money leads to a top-up, on whatever page it is pressed."""
    page = place.page
    balance = root.call("GET", "/api/user/1")["balance"]
    root.call("POST", "/api/balance/admin/add", {"user_id": 1, "amount": -balance}, {"Idempotency-Key": "nothing-left"})

    def session(route):
        # As a gateway says it that knows when a balance is low.
        whole = route.fetch().json()
        whole["data"]["user"].update(low_balance=whole["data"]["user"]["balance"] < 1, low_balance_threshold=1)
        route.fulfill(json=whole)

    page.route("**/api/user/session", session)
    place.open("/console/playground")
    page.get_by_label("Message").fill("half written")
    page.get_by_role("complementary").get_by_role("button", name="Add balance").click()
    page.get_by_role("dialog").locator("button[type=submit]").click()
    page.get_by_role("complementary").wait_for(state="hidden")
    place.settle()
    page.unroute("**/api/user/session")
    check("what is half written stays", page.get_by_label("Message").input_value() == "half written")


def palette(place):
    page = place.page
    place.open("/console/keys")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Go to a page")
    field.fill("account")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Account", level=1).wait_for()
    place.settle()
    # The dialog's end is told by an event of its own.
    page.evaluate("new Promise((wake) => setTimeout(wake))")
    check("the focus is on the new page's heading", page.locator("h1").evaluate("node => node === document.activeElement"))

    place.open("/console/keys")
    page.keyboard.press("Control+k")
    field.fill("billing")
    field.evaluate("node => node.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))")
    check("an input method's Enter goes nowhere", path_of(page) == "/console/keys" and field.count() == 1, page.url)
    page.keyboard.press("Escape")


def sessions(place):
    """A new password ends the other sessions, and the list says so."""
    page = place.page
    other = visit(page.context.browser, base)
    other.log_in("dave")
    mine = visit(page.context.browser, base)
    mine.log_in("dave")
    mine.open("/console/account")
    rows = mine.page.locator("table tbody tr")
    check("two sessions", rows.count() >= 2, rows.all_inner_texts())
    form = mine.page.locator("form").filter(has=mine.page.get_by_label("New password again"))
    form.get_by_label("Current password").fill("a-root-password")
    form.get_by_label("New password", exact=True).fill("another-password")
    form.get_by_label("New password again").fill("another-password")
    form.locator("button[type=submit]").click()
    mine.page.get_by_text("The password is changed").wait_for()
    mine.settle()
    check("the list has only this one", mine.page.get_by_role("button", name="End", exact=True).count() == 0, rows.all_inner_texts())
    for one in (mine, other):
        one.page.context.close()


def lost_session(place):
    """A session that ended is noticed by a page that loads again: the login opens over it, whichever answer comes first."""
    page = place.page
    place.open("/console")
    place.expected.append("401")
    late = Held(page, r"/api/stats/series")
    page.context.clear_cookies()
    with page.expect_response(re.compile("/api/user/session")):
        page.get_by_role("button", name="Mine").click()
    late.wait().release()
    login = page.get_by_role("dialog").filter(has=page.locator("input[type=password]"))
    login.wait_for(timeout=20_000)
    login.get_by_label("Password").fill("a-root-password")
    login.get_by_role("button", name="Continue").click()
    login.wait_for(state="detached")
    place.settle()
    check("the page goes on", page.locator(".problem").count() == 0, page.locator("main").inner_text())


def wrong_ways(place):
    """The address after a login is one of the console's own."""
    for way in ("/\\example.org", "//example.org/models", "https://example.org/models"):
        fresh = visit(place.page.context.browser, base)
        fresh.page.goto(f"{base}/login?next={urllib.parse.quote(way, safe='')}")
        fresh.page.get_by_label("User name").fill("carol")
        fresh.page.get_by_label("Password").fill("a-root-password")
        fresh.page.locator("form button[type=submit]").click()
        fresh.page.wait_for_url(base + "/console", timeout=20_000)
        fresh.settle()
        check(f"{way} is not followed", not fresh.complaints, fresh.complaints)
        fresh.page.context.close()


def main():
    prepare()
    with browser() as instance:
        place = visit(instance, base)
        place.log_in("root")
        steps = [addresses, amounts, left_pages, late_texts, lists, unfolded, amounts_in_forms, prices, expiries, kept_forms, configuration, routes, rankings,
                 tests_of_channels, playground, little_money, palette, copied, sessions, wrong_ways, lost_session]
        for step in steps:
            step(place)
        check("nothing was complained about", not place.complaints, place.complaints)
    finish()


main()
