"""litellm's list: model_prices_and_context_window_backup.json of the package (MIT), USD per token."""
import re

from .prices import Price, Rates, clean, per_million

RATES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
}
SERVICES = {"batch": "_batches", "flex": "_flex", "priority": "_priority", "ultrafast": "_ultrafast"}
ENDPOINTS = {
    "chat": "chat", "responses": "responses", "completion": "completions", "embedding": "embeddings", "image_generation": "images",
    "audio_speech": "speech", "audio_transcription": "transcriptions", "moderation": "moderations", "rerank": "rerank",
}  # yapf: disable
ABOVE = re.compile(r"_above_(\d+)k_tokens")


def endpoint(entry: dict) -> str | None:
    """What a model answers on; None for what the gateway has no endpoint for (films, live connections, …)."""
    served = entry.get("supported_endpoints") or []
    if entry.get("mode") == "chat" and "/v1/responses" in served and "/v1/chat/completions" not in served:
        return "responses"
    return ENDPOINTS.get(entry.get("mode"))


def endpoints(entry: dict) -> list:
    """The same with what else it answers on."""
    more = ["image_edits"] if "/v1/images/edits" in (entry.get("supported_endpoints") or []) else []
    return [endpoint(entry), *more]


def context(entry: dict) -> int | None:
    return whole(entry.get("max_input_tokens")) or whole(entry.get("max_tokens"))


def output(entry: dict) -> int | None:
    # Of other kinds it says nothing that bounds an answer.
    return whole(entry.get("max_output_tokens")) if entry.get("mode") in ("chat", "completion", "responses") else None


def whole(value) -> int | None:
    return int(clean(value)) or None if value is not None else None


def thinks(name: str, entry: dict) -> bool | None:
    """Whether the model may think without being asked; None where the list does not say."""
    if entry.get("thinking_always_on") or entry.get("thinking_on_by_default"):
        return True
    # Claude's other models think when they are asked to, as those do whose effort is none by default.
    if "claude" in name or entry.get("default_reasoning_effort") == "none":
        return None
    return True if entry.get("supports_reasoning") else None


def price(entry: dict, search: str | None) -> Price | None:
    """- Parameter search: the unit that a web search is charged as, `search` or `request` (every answer searches); None: not at all."""
    result = Price(rates(entry, ""))
    for name, suffix in SERVICES.items():
        service = rates(entry, suffix)
        if "input" in service.base and ("output" in service.base or not entry.get(RATES["output"])):
            result.services[name] = service
    if entry.get("tiered_pricing"):
        sized(entry["tiered_pricing"], result.rates)
    if entry.get("mode") == "image_generation":
        picture(entry, result)
    elif not any(result.rates.base.values()):
        # Prices of a row add up, so it has either tokens or a unit.
        unit(entry, result)
    if not result.rates and not result.units:
        return None
    searches = entry.get("search_context_cost_per_query") or {}
    if search and searches:
        low = clean(searches.get("search_context_size_low", 0))
        if search == "request" or all(clean(value) == low for value in searches.values()):
            result.units[search] = low
    return result


def rates(entry: dict, suffix: str) -> Rates:
    result = Rates({name: per_million(entry[key + suffix]) for name, key in RATES.items() if entry.get(key + suffix) is not None})
    for key, value in entry.items():
        found = ABOVE.search(key)
        if not found or value is None:
            continue
        for name, own in RATES.items():
            if key == own + found.group(0) + suffix:
                result.tiers.setdefault(int(found.group(1)) * 1000, {})[name] = per_million(value)
    return result


def sized(steps: list, into: Rates) -> None:
    """Prices by the length of the prompt, as Alibaba has them: the first step is the row's, the others are its tiers."""
    for step in sorted(steps, key=lambda step: clean(step["range"][0])):
        table = {name: per_million(step[key]) for name, key in RATES.items() if step.get(key) is not None}
        above = int(clean(step["range"][0]))
        if above:
            into.tiers[above] = table
        else:
            into.base.update(table)


def unit(entry: dict, into: Price) -> None:
    mode = entry.get("mode")
    if mode == "audio_speech" and entry.get("input_cost_per_character") is not None:
        into.units["character"] = per_million(entry["input_cost_per_character"])
    elif mode == "audio_transcription" and entry.get("input_cost_per_second"):
        into.units["audio_second"] = clean(entry["input_cost_per_second"])
    elif mode == "rerank" and entry.get("input_cost_per_query"):
        into.units["search"] = clean(entry["input_cost_per_query"])


def picture(entry: dict, into: Price) -> None:
    """The tokens that such a model writes are those of pictures; the words beside them have another price, which a row cannot say.

    Of the tokens that it reads, those of pictures that it edits have a price of their own.
    """
    if entry.get("output_cost_per_image_token") is not None:
        if entry.get("input_cost_per_image_token"):
            into.units["image_input"] = per_million(entry["input_cost_per_image_token"])
        into.rates.base["output"] = per_million(entry["output_cost_per_image_token"])
        for name, suffix in SERVICES.items():
            if name in into.services or entry.get("output_cost_per_image_token" + suffix) is not None:
                service = into.services.setdefault(name, rates(entry, suffix))
                if entry.get("output_cost_per_image_token" + suffix) is None:
                    del into.services[name]
                else:
                    service.base["output"] = per_million(entry["output_cost_per_image_token" + suffix])
        return
    # Of prices by size the dearest: a row has one.
    sizes = [clean(value) for key, value in entry.items() if re.match(r"(out|in)put_cost_per_image(_\d+K?)?$", key) and value]
    if sizes:
        into.units["image"] = max(sizes)
