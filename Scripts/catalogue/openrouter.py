"""OpenRouter's own list (`GET /api/v1/models`), USD per token as text."""
from decimal import Decimal

from . import files, prices
from .build import Result
from .prices import Price, Rates, per_million

TOKENS = {
    "prompt": "input", "completion": "output", "input_cache_read": "cache_read", "input_cache_write": "cache_write",
    "input_cache_write_1h": "cache_write_1h", "internal_reasoning": "reasoning", "audio": "audio_input", "audio_output": "audio_output",
}  # yapf: disable


def build(file: files.ProviderFile, data: dict) -> Result:
    result = Result(file.name)
    for model in data["data"]:
        top = model.get("top_provider") or {}
        before = file.models.get(model["id"]) or {}
        result.blocks[model["id"]] = files.block({
            "id": model["id"], "display_name": model.get("name"), "reasoning": before.get("reasoning"),
            "context_length": model.get("context_length") or top.get("context_length"),
            "max_output_tokens": top.get("max_completion_tokens"), "price": prices.inline(price(model["pricing"])),
        })  # yapf: disable
        result.endpoints[model["id"]] = "chat"
    result.added = sorted(set(result.blocks) - set(file.blocks))
    result.removed = sorted(set(file.blocks) - set(result.blocks))
    return result


def price(pricing: dict) -> Price:
    def get(key: str) -> Decimal:
        return Decimal(pricing.get(key) or "0")

    # -1 is a router's: what it takes depends on whom it asks.
    if get("prompt") < 0 or get("completion") < 0:
        return Price(upstream=True)
    # What a row has no words for is charged as OpenRouter bills it: pictures that cost more than words, prices by the time of day.
    overrides = [{key: value for key, value in entry.items() if value is not None} for entry in pricing.get("overrides") or []]
    if get("image_output") not in (0, get("completion")) or any(
            not entry.get("min_prompt_tokens") or set(entry) - {"min_prompt_tokens"} - set(TOKENS) for entry in overrides):
        return Price(upstream=True)
    base = {name: per_million(pricing[key]) for key, name in TOKENS.items() if key in ("prompt", "completion") or get(key) > 0}
    units = {name: get(key) for key, name in (("image", "image"), ("request", "request"), ("web_search", "search"))}
    tiers = {}
    # Of several that hold, the later ones win price by price.
    for above in sorted({entry["min_prompt_tokens"] for entry in overrides}):
        tiers[above] = dict(base)
        for entry in overrides:
            if entry["min_prompt_tokens"] <= above:
                tiers[above].update({name: per_million(entry[key]) for key, name in TOKENS.items()
                                     if key in entry and (name in ("input", "output") or Decimal(entry[key]) > 0)})
    return prices.completed(Price(Rates(base, tiers), units))
