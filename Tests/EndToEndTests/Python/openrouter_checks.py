"""OpenRouter's own SDK against a running gateway. Exits non-zero at the first thing that is not as it should be.

    openrouter_checks.py BASE_URL KEY STRANGERS_KEY MANAGEMENT_KEY ACCESS_TOKEN

KEY, MANAGEMENT_KEY and ACCESS_TOKEN belong to one user, who has been given 10.000000003 USD.
"""
import datetime
import decimal
import json
import sys
import time
import urllib.request

from openai import OpenAI
from openrouter import OpenRouter, errors, operations

from checks import check, finish

base, key, strangers_key, management_key, access_token = sys.argv[1:6]


def client_of(api_key):
    return OpenRouter(api_key=api_key, server_url=base + "/api/v1")


def raw(path, api_key, body=None):
    """An answer with its numbers as they are written, and its headers."""
    request = urllib.request.Request(
        base + path, headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"},
        data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read(), parse_float=decimal.Decimal), answer.headers


def refused(name, status, call):
    try:
        call()
    except errors.OpenRouterError as error:
        check(name, error.status_code == status, repr(error))
        body = json.loads(error.body)
        check(name + ", in OpenRouter's shape", body["error"]["code"] == status and body["error"]["message"], body)
        return
    check(name, False, "no error")


def eventually(name, call):
    """The first true answer within ten seconds: charges are posted a moment after the answer."""
    for _ in range(200):
        found = call()
        if found:
            return found
        time.sleep(0.05)
    check(name, False, "it did not come")


def generation_of(client, identity):
    try:
        return client.generations.get_generation(id=identity).data
    except errors.OpenRouterError as error:
        if error.status_code == 404:
            return None
        raise


client, stranger, manager = client_of(key), client_of(strangers_key), client_of(management_key)

# Models.
listed = client.models.list().result
names = [model.id for model in listed.data]
check("models", {"sim/cheap", "sim/dear", "sim/fine", "sim/free"} <= set(names), names)
check("models that give no text are not listed unasked", "sim/vector" not in names, names)
check("models are counted", client.models.count().data.count == len(names) == listed.total_count, listed.total_count)
everything = client.models.list(output_modalities="all").result
check("all models", len(everything.data) == len(names) + 1, [model.id for model in everything.data])
check("models of the user", [model.id for model in client.models.list_for_user(
    security=operations.ListModelsUserSecurity(bearer=key)).result.data] == names)
check("embedding models", [model.id for model in client.embeddings.list_models().result.data] == ["sim/vector"])
cheap = client.models.get(author="sim", slug="cheap").data
check("one model", cheap == next(model for model in listed.data if model.id == "sim/cheap"), cheap)
check("its list's facts", cheap.canonical_slug == "sim/cheap-2026-11-01" and cheap.name == "Sim: Cheap"
      and cheap.hugging_face_id == "sim/Cheap" and cheap.created == 1790000000, cheap)
check("its architecture", cheap.architecture.modality == "text+image->text" and cheap.architecture.tokenizer == "GPT"
      and cheap.architecture.input_modalities == ["text", "image"] and cheap.architecture.instruct_type is None, cheap.architecture)
check("its prices", (cheap.pricing.prompt, cheap.pricing.completion) == ("0.00000015", "0.0000006"), cheap.pricing)
check("its limits", cheap.context_length == 100000 and cheap.top_provider.max_completion_tokens == 8192
      and cheap.top_provider.is_moderated and cheap.per_request_limits is None, cheap.top_provider)
check("its parameters", cheap.supported_parameters == ["tools", "tool_choice", "temperature"]
      and cheap.default_parameters.temperature == 0.7, cheap)
dear = client.models.get(author="sim", slug="dear").data
check("prices of caching", dear.pricing.input_cache_read == "0.0000003" and dear.pricing.input_cache_write is None, dear.pricing)
pages, page = [], client.models.list(offset=0, limit=2)
while page is not None:
    pages += [model.id for model in page.result.data]
    page = page.next()
check("pages", pages == names, pages)
check("search", [model.id for model in client.models.list(q="SIM:").result.data] == ["sim/cheap", "sim/dear"])
check("parameters are a filter", [model.id for model in client.models.list(supported_parameters="tools").result.data] == ["sim/cheap"])
check("order", client.models.list(sort="pricing-high-to-low").result.data[0].id == "sim/dear")
refused("an unknown filter", 400, lambda: client.models.list(category="programming"))
refused("an unknown model", 404, lambda: client.models.get(author="sim", slug="none"))
openai = OpenAI(base_url=base + "/api/v1", api_key=key, max_retries=0)
check("the OpenAI SDK's list", [model.id for model in openai.models.list().data] == names)
check("the OpenAI SDK's one", openai.models.retrieve("sim/cheap").owned_by is not None)
check("the list under /v1 is OpenAI's", raw("/v1/models", key)[0]["object"] == "list")

endpoints = client.endpoints.list(author="sim", slug="cheap").data
check("endpoints", [(end.provider_name, end.tag) for end in endpoints.endpoints]
      == [("Test vendor simrouter", "simrouter"), ("Test vendor sim", "sim")], endpoints)
check("endpoints' prices", {end.pricing.prompt for end in endpoints.endpoints} == {"0.00000015"}, endpoints)
refused("endpoints of an unknown model", 404, lambda: client.endpoints.list(author="sim", slug="none"))
providers = client.providers.list().data
check("providers", sorted(one.slug for one in providers) == ["sim", "simrouter", "simvector"], providers)

# Calls, and what is recorded of them.
hello = [{"role": "user", "content": "one two three four"}]
answer = client.chat.send(model="sim/cheap", messages=hello)
check("chat", answer.choices[0].message.content == "one two three four", answer)
text, streamed_id = "", None
for chunk in client.chat.send(model="sim/cheap", messages=hello, stream=True):
    streamed_id = chunk.id
    if chunk.choices and chunk.choices[0].delta.content:
        text += chunk.choices[0].delta.content
check("chat streamed", text == "one two three four", text)

for name, identity, streamed in [("whole", answer.id, False), ("streamed", streamed_id, True)]:
    found = eventually(name, lambda: generation_of(client, identity))
    check(f"generation, {name}", found.id == identity and found.upstream_id == identity and found.streamed == streamed, found)
    check(f"its tokens, {name}", (found.tokens_prompt, found.tokens_completion) == (7, 4)
          and found.native_tokens_prompt == 7, found)
    check(f"its end, {name}", found.finish_reason == "stop" and found.cancelled is False, found)
    check(f"its vendor, {name}", found.provider_name == "Test vendor simrouter" and found.model == "sim/cheap", found)
    check(f"its time, {name}", found.latency >= 0 and found.generation_time >= 0
          and datetime.datetime.fromisoformat(found.created_at.replace("Z", "+00:00")).year >= 2026, found)
    exact, _ = raw(f"/api/v1/generation?id={identity}", key)
    log, _ = raw(f"/api/log/self?request_id={found.request_id}", access_token)
    row = log["data"]["items"][0]
    check(f"its cost is the log's, {name}", exact["data"]["total_cost"] == row["cost"] > 0
          and row["generation_id"] == identity, (exact, row))
    check(f"the same by the request's id, {name}",
          generation_of(client, found.request_id).total_cost == found.total_cost)
    check(f"a stranger does not find it, {name}", generation_of(stranger, identity) is None
          and generation_of(stranger, found.request_id) is None)
    refused(f"a stranger is told so, {name}", 404, lambda: stranger.generations.get_generation(id=identity))

# Answers in other dialects carry ids of their own.
for path, body in [
        ("/api/v1/messages", {"model": "sim/fine", "messages": hello, "max_tokens": 50}),
        ("/api/v1/responses", {"model": "sim/fine", "input": "one two three four", "max_output_tokens": 2}),
        ("/v1/chat/completions", {"model": "sim/fine", "messages": hello})]:
    said, headers = raw(path, key, body)
    found = eventually(path, lambda: generation_of(client, said["id"]))
    check(f"generation of {path}", found.request_id == headers["X-Request-Id"].lower(), (said, found))
vector = client.embeddings.generate(model="sim/vector", input="a b")
check("embeddings", len(vector.data) == 1, vector)
refused("an unknown generation", 404, lambda: client.generations.get_generation(id="gen-never"))
refused("no model", 404, lambda: client.chat.send(model="sim/none", messages=hello))


# The account, to the last digit.
def ledger(kind):
    rows, page = [], 1
    while True:
        got, _ = raw(f"/api/balance/transactions?type={kind}&page_size=100&page={page}", access_token)
        rows += got["data"]["items"]
        if len(got["data"]["items"]) < 100:
            return sum((decimal.Decimal(row["amount"]) for row in rows), decimal.Decimal(0)), len(rows)
        page += 1


charges, count = eventually("all charges are posted", lambda: (lambda sums: sums if sums[1] == 6 else None)(ledger("usage")))
credits, _ = raw("/api/v1/credits", key)
credits = {name: decimal.Decimal(value) for name, value in credits["data"].items()}
balance, _ = raw("/api/balance", access_token)
check("credits", credits["total_credits"] == ledger("recharge")[0] == decimal.Decimal("10.000000003"), credits)
check("usage is the ledger's", credits["total_usage"] == -charges > 0, (credits, charges))
check("the difference is the balance", credits["total_credits"] - credits["total_usage"] == decimal.Decimal(balance["data"]["balance"]))
typed = client.credits.get_credits().data
check("credits by the SDK", (typed.total_credits, typed.total_usage) == tuple(float(value) for value in credits.values()), typed)
check("a management key sees them too", manager.credits.get_credits().data == typed)
own = client.api_keys.get_current_key_metadata().data
exact, _ = raw("/api/v1/key", key)
check("the key's usage is the ledger's", decimal.Decimal(exact["data"]["usage"]) == -charges
      == decimal.Decimal(exact["data"]["usage_daily"]) == decimal.Decimal(exact["data"]["usage_weekly"]), exact)
check("the key", own.is_management_key is False and own.limit is None and own.limit_remaining is None and own.label.startswith("sk-"), own)
check("the management key", manager.api_keys.get_current_key_metadata().data.is_management_key is True)
billing, _ = raw("/v1/dashboard/billing/subscription", key)
usage, _ = raw("/dashboard/billing/usage", key)
check("one-api's billing", decimal.Decimal(billing["hard_limit_usd"]) == credits["total_credits"]
      and decimal.Decimal(usage["total_usage"]) == -charges * 100, (billing, usage))

# Keys.
expiry = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
made = manager.api_keys.create(name="customer 7", limit=0.01, limit_reset="daily", expires_at=expiry)
check("a key is made", made.key.startswith("sk-") and made.data.limit == 0.01 and made.data.limit_reset == "daily"
      and made.data.expires_at == expiry and made.data.usage == 0, made)
customer = client_of(made.key)
customer.chat.send(model="sim/cheap", messages=hello, max_tokens=8)
spent = eventually("the new key's spending", lambda: manager.api_keys.get(hash=made.data.hash).data.usage)
# The simulator bills as OpenRouter does, and no less is charged.
check("what the new key spent", spent == 0.00042, spent)
check("what is left of its limit",
      decimal.Decimal(raw(f"/api/v1/keys/{made.data.hash}", management_key)[0]["data"]["limit_remaining"]) == decimal.Decimal("0.00958"))
refused("beyond its limit", 429, lambda: customer.chat.send(model="sim/dear", messages=hello, max_tokens=8000))
changed = manager.api_keys.update(hash=made.data.hash, name="customer 8", limit=None, disabled=True).data
check("a key is changed", changed.name == "customer 8" and changed.limit is None and changed.disabled is True, changed)
refused("a disabled key", 401, lambda: customer.chat.send(model="sim/cheap", messages=hello))
shown = [one.name for one in manager.api_keys.list().data]
check("keys", shown == ["test"], shown)
shown = [one.name for one in manager.api_keys.list(include_disabled=True).data]
check("keys with disabled ones", shown == ["customer 8", "test"], shown)
check("a key is deleted", manager.api_keys.delete(hash=made.data.hash).DELETED is True)
refused("a deleted key", 404, lambda: manager.api_keys.get(hash=made.data.hash))
refused("a plain key manages no keys", 403, lambda: client.api_keys.list())
refused("a plain key makes no keys", 403, lambda: client.api_keys.create(name="mine"))
refused("a management key calls no models", 403, lambda: manager.chat.send(model="sim/cheap", messages=hello))
refused("no key", 401, lambda: client_of("sk-wrong").api_keys.get_current_key_metadata())

finish()
