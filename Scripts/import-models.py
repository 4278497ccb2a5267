#!/usr/bin/env python3
"""Makes the `models:` part of a provider file from a public list of models and prices.

    import-models.py openrouter LIST.json providers/openrouter.yaml
        LIST.json: OpenRouter's GET /api/v1/models
    import-models.py litellm LIST.json providers/openai.yaml --provider openai [--exclude REGEX] [--chat chat,messages]
        LIST.json: a price list in LiteLLM's format; --exclude leaves names out; --chat says which endpoints a chat model
        is bound to (empty: the provider's own)

Everything of the file above the line `models:` stays as it is; what follows is replaced. Prices are handled as exact
decimals from the text of the list, never as floating point.
"""
import argparse
import json
import re
from decimal import Decimal

MILLION = Decimal(1_000_000)


def text(value: Decimal) -> str:
    plain = format(value.normalize(), "f")
    return plain if plain != "-0" else "0"


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def per_million(value) -> str:
    return text(Decimal(str(value)) * MILLION)


OPENROUTER_TOKENS = {"prompt": "input", "completion": "output", "input_cache_read": "cache_read", "input_cache_write": "cache_write",
                     "input_cache_write_1h": "cache_write_1h", "internal_reasoning": "reasoning", "audio": "audio_input", "audio_output": "audio_output"}


def price_openrouter(pricing: dict):
    get = lambda key: Decimal(pricing.get(key) or "0")
    if get("prompt") < 0 or get("completion") < 0:
        return "upstream_cost"
    # What a row has no words for is charged as OpenRouter bills it: pictures that cost more than words, prices by the time of day.
    overrides = [{k: v for k, v in entry.items() if v is not None} for entry in pricing.get("overrides") or []]
    if get("image_output") not in (0, get("completion")) or any(
            not entry.get("min_prompt_tokens") or set(entry) - {"min_prompt_tokens"} - set(OPENROUTER_TOKENS) for entry in overrides):
        return "upstream_cost"
    prices = {"input": per_million(pricing["prompt"]), "output": per_million(pricing["completion"])}
    # A zero beside a real prompt price means "not priced apart", not "free": the input or output price applies then.
    for key, name in OPENROUTER_TOKENS.items():
        if name not in prices and get(key) > 0:
            prices[name] = per_million(pricing[key])
    base = dict(prices)
    for key, name in (("image", "image"), ("request", "request"), ("web_search", "search")):
        if get(key) > 0:
            prices[name] = text(get(key))
    # Of several that hold, the later ones win price by price.
    tiers = []
    for above in sorted({entry["min_prompt_tokens"] for entry in overrides}):
        tier = dict(base)
        for entry in overrides:
            if entry["min_prompt_tokens"] <= above:
                tier.update({name: per_million(entry[key]) for key, name in OPENROUTER_TOKENS.items()
                             if key in entry and (name in ("input", "output") or Decimal(entry[key]) > 0)})
        tiers.append({"above": above, **tier})
    if tiers:
        prices["tiers"] = tiers
    return prices


def models_openrouter(data: dict):
    for model in sorted(data["data"], key=lambda m: m["id"]):
        top = model.get("top_provider") or {}
        yield {
            "id": model["id"],
            "display_name": model.get("name"),
            "context_length": model.get("context_length") or top.get("context_length"),
            "max_output_tokens": top.get("max_completion_tokens"),
            "price": price_openrouter(model["pricing"]),
        }


def share(prices: dict, part: Decimal) -> dict:
    """A service tier that costs a part of everything."""
    return {k: text(Decimal(v) * part) for k, v in prices.items() if isinstance(v, str) and k not in ("image", "request", "search")}


def price_litellm(entry: dict, batch=None):
    fields = {"input": "input_cost_per_token", "output": "output_cost_per_token",
              "cache_read": "cache_read_input_token_cost", "cache_write": "cache_creation_input_token_cost",
              "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
              "reasoning": "output_cost_per_reasoning_token", "audio_input": "input_cost_per_audio_token",
              "audio_output": "output_cost_per_audio_token"}
    prices = {name: per_million(entry[key]) for name, key in fields.items() if entry.get(key) is not None}
    # A zero beside a real price means "not priced apart": the base price applies then.
    prices = {k: v for k, v in prices.items() if v != "0" or k in ("input", "output")}
    prices.setdefault("input", "0")
    prices.setdefault("output", "0")
    mode = entry["mode"]
    if mode == "image_generation":
        # The tokens that such a model writes are those of pictures; the words beside them have another price, which a row cannot say.
        if entry.get("output_cost_per_image_token") is not None:
            prices["output"] = per_million(entry["output_cost_per_image_token"])
        elif entry.get("output_cost_per_image") is not None:
            prices["image"] = text(Decimal(str(entry["output_cost_per_image"])))
    elif mode == "audio_speech" and entry.get("input_cost_per_character") is not None:
        prices["character"] = per_million(entry["input_cost_per_character"])
    elif mode == "audio_transcription" and entry.get("input_cost_per_second"):
        prices["audio_second"] = text(Decimal(str(entry["input_cost_per_second"])))
    elif mode == "rerank" and entry.get("input_cost_per_query"):
        prices["search"] = text(Decimal(str(entry["input_cost_per_query"])))
    for tokens in (128_000, 200_000):
        suffix = f"_above_{tokens // 1000}k_tokens"
        tier = {name: per_million(entry[key + suffix]) for name, key in fields.items() if entry.get(key + suffix) is not None}
        if "input" in tier and "output" in tier:
            prices.setdefault("tiers", []).append({"above": tokens, **tier})
    for name, suffix in (("batch", "_batches"), ("flex", "_flex"), ("priority", "_priority")):
        tier = {kind: per_million(entry[key + suffix]) for kind, key in fields.items() if entry.get(key + suffix) is not None}
        if "input" in tier and "output" in tier:
            # What the list does not say for a tier is taken in proportion: a cached token is as much cheaper there as it is otherwise.
            if "cache_read" in prices and "cache_read" not in tier and Decimal(prices["input"]):
                tier["cache_read"] = text(Decimal(prices["cache_read"]) * Decimal(tier["input"]) / Decimal(prices["input"]))
            if "tiers" in prices and Decimal(prices["input"]):
                part = Decimal(tier["input"]) / Decimal(prices["input"])
                tier["tiers"] = [{"above": larger["above"], **share(larger, part)} for larger in prices["tiers"]]
            prices.setdefault("service_tiers", {})[name] = tier
    if batch and "batch" not in prices.get("service_tiers", {}):
        prices.setdefault("service_tiers", {})["batch"] = {
            **share(prices, batch), **({"tiers": [{"above": t["above"], **share(t, batch)} for t in prices["tiers"]]} if "tiers" in prices else {})}
    return prices


ENDPOINTS = {"chat": ["chat"], "completion": ["completions"], "embedding": ["embeddings"], "image_generation": ["images"],
             "audio_speech": ["speech"], "audio_transcription": ["transcriptions"], "moderation": ["moderations"], "rerank": ["rerank"]}
UNITS = ("input_cost_per_token", "input_cost_per_character", "input_cost_per_second", "input_cost_per_query", "output_cost_per_image")


def models_litellm(data: dict, provider: str, modes, exclude=None, chat=("chat",), batch=None):
    for name, entry in sorted(data.items()):
        if entry.get("litellm_provider") != provider or entry.get("mode") not in modes:
            continue
        if all(entry.get(unit) is None for unit in UNITS) or name.startswith("ft:"):
            continue
        ident = name.removeprefix(provider + "/")
        if "/" in ident or (exclude and re.search(exclude, ident)):
            continue
        mode = entry["mode"]
        yield {
            "id": ident,
            "context_length": entry.get("max_input_tokens") or entry.get("max_tokens"),
            # Of other kinds it says nothing that bounds an answer.
            "max_output_tokens": None if mode not in ("chat", "completion") else entry.get("max_output_tokens"),
            "endpoints": list(chat) if mode == "chat" else ENDPOINTS[mode],
            "price": price_litellm(entry, batch),
        }


def inline(prices: dict) -> str:
    """As the value of `price:`; what is nested comes last."""
    parts = [f'{key}: "{value}"' for key, value in prices.items() if isinstance(value, str)]
    if prices.get("tiers"):
        tiers = ["{ above: " + str(t["above"]) + ", " + inline({k: v for k, v in t.items() if k != "above"}) + " }" for t in prices["tiers"]]
        parts.append("tiers: [" + ", ".join(tiers) + "]")
    if prices.get("service_tiers"):
        services = [f"{name}: {{ {inline(tier)} }}" for name, tier in prices["service_tiers"].items()]
        parts.append("service_tiers: { " + ", ".join(services) + " }")
    return ", ".join(parts)


def write(path: str, models) -> int:
    with open(path, encoding="utf-8") as file:
        head = re.split(r"^models:.*$", file.read(), maxsplit=1, flags=re.M)[0]
    lines, seen = [head.rstrip("\n"), "models:"], set()
    for model in models:
        if model["id"] in seen:
            continue
        seen.add(model["id"])
        lines.append(f"  - id: {quoted(model['id']) if re.search(r'[^A-Za-z0-9/._:-]', model['id']) or ':' in model['id'] else model['id']}")
        if model.get("display_name"):
            lines.append(f"    display_name: {quoted(model['display_name'])}")
        for key in ("context_length", "max_output_tokens"):
            if model.get(key):
                lines.append(f"    {key}: {int(model[key])}")
        if model.get("endpoints"):
            lines.append(f"    endpoints: [{', '.join(model['endpoints'])}]")
        price = model["price"]
        if isinstance(price, str):
            lines.append(f"    price: {price}")
        else:
            lines.append(f"    price: {{ {inline(price)} }}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return len(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", choices=["openrouter", "litellm"])
    parser.add_argument("list")
    parser.add_argument("provider_file")
    parser.add_argument("--provider", help="litellm_provider to take")
    parser.add_argument("--modes", default="chat,embedding,completion")
    parser.add_argument("--exclude", help="names to leave out, as a regular expression")
    parser.add_argument("--chat", default="chat", help="endpoints of chat models")
    parser.add_argument("--batch", type=Decimal, help="what a batch costs of the usual price, where the list does not say (Anthropic: 0.5)")
    options = parser.parse_args()
    with open(options.list, encoding="utf-8") as file:
        data = json.load(file, parse_float=Decimal)
    if options.format == "openrouter":
        models = models_openrouter(data)
    else:
        models = models_litellm(data, options.provider, options.modes.split(","), options.exclude, [e for e in options.chat.split(",") if e],
                                options.batch)
    print(write(options.provider_file, models), "models")


if __name__ == "__main__":
    main()
