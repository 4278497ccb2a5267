"""A real browser before the console: Debian's Chromium, driven by Playwright. Shared by the console_*.py scripts."""
import contextlib
import gzip
import json
import urllib.request

from playwright.sync_api import expect, sync_playwright

# Sandboxes of browsers need rights that a container does not give; everything that is loaded here is our own.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PASSWORD = "a-root-password"


class Api:
    """The management API, for what a test prepares and for what it compares the pages with."""

    def __init__(self, base, username="root", password=PASSWORD):
        self.base = base
        self.token = None
        self.token = self.call("POST", "/api/user/login", {"username": username, "password": password})["access_token"]

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(
            self.base + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {}), **(headers or {})})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer).get("data")

    def chat(self, key, text, model="demo/echo", stream=False):
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        request = urllib.request.Request(
            self.base + "/v1/chat/completions", method="POST", data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request) as answer:
            return answer.read()


class Visit:
    """One page of a browser and what it complained about."""

    def __init__(self, page, base):
        self.page = page
        self.base = base
        self.complaints = []
        self.expected = []
        self.requests = []
        page.on("console", lambda message: self._complain(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self._complain(f"uncaught: {error}"))
        page.on("response", lambda response: self.requests.append(response))

    def _complain(self, text):
        if not any(part in text for part in self.expected):
            self.complaints.append(text)

    def forget_files(self):
        """Nothing is kept from one page to the next, so that each is loaded as if it were the first."""
        self.page.context.new_cdp_session(self.page).send("Network.setCacheDisabled", {"cacheDisabled": True})

    def open(self, path):
        self.requests.clear()
        self.page.goto(self.base + path)
        self.settle()

    def settle(self):
        """Until the page's content is there: its heading, and nothing that still loads."""
        self.page.wait_for_selector("main h1")
        # Not by an expression in the page: its policy forbids to evaluate one again and again.
        expect(self.page.locator('[aria-busy="true"]')).to_have_count(0, timeout=60_000)

    def log_in(self, username, password=PASSWORD):
        self.page.goto(self.base + "/login")
        self.page.get_by_role("textbox", name=NAMES["username"]).fill(username)
        self.page.locator("input[type=password]").fill(password)
        self.page.locator("form button[type=submit]").click()
        self.page.wait_for_url("**/console")
        self.settle()

    def overflow(self):
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


class Names:
    """Names in both languages, as regular expressions for Playwright's look-ups by what a person reads."""

    def __getitem__(self, key):
        import re
        return re.compile({
            "username": "^(User name|用户名)$", "password": "^(Password|密码)$",
        }[key])


NAMES = Names()


@contextlib.contextmanager
def browser():
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        try:
            yield instance
        finally:
            instance.close()


def visit(instance, base, language="en", width=1280, theme="light"):
    context = instance.new_context(
        viewport={"width": width, "height": 844 if width < 600 else 800}, locale="zh-CN" if language == "zh" else "en-US",
        color_scheme=theme, timezone_id="Asia/Shanghai" if language == "zh" else "Europe/Berlin")
    # A busy machine is slow, not wrong.
    context.set_default_timeout(60_000)
    return Visit(context.new_page(), base)


def weight(responses):
    """Bytes of answers, as they are and compressed as the server would compress them."""
    raw = packed = 0
    for response in responses:
        try:
            body = response.body()
        except Exception:  # a response without a body
            continue
        raw += len(body)
        packed += len(gzip.compress(body)) if len(body) > 200 else len(body)
    return raw, packed
