"""A vendor's models from the lists: which are current, what they serve, what they cost."""
import re
from dataclasses import dataclass, field
from decimal import Decimal

from . import files, litellm, prices
from .lists import Lists
from .prices import Price, Rates

KEYS = {
    "litellm", "genai", "exclude", "source", "confirmed", "add", "lower", "chat", "search", "request", "free", "unpriced", "prices",
    "keep", "keep_others", "models", "cheaper_in",
}  # yapf: disable


@dataclass
class Rules:
    """What catalogue/vendors.yaml says of one vendor; its head explains the keys."""

    said: dict

    def __post_init__(self):
        unknown = set(self.said) - KEYS
        if unknown:
            raise ValueError(f"vendors.yaml: unknown keys {sorted(unknown)}")

    def matches(self, key: str, name: str) -> bool:
        return key in self.said and re.search(self.said[key], name) is not None

    def search_unit(self, name: str) -> str | None:
        if self.matches("request", name):
            return "request"
        return "search" if self.matches("search", name) else None


@dataclass
class Result:
    vendor: str
    blocks: dict = field(default_factory=dict)
    endpoints: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    # (model, figure, litellm's, genai-prices')
    apart: list = field(default_factory=list)
    unpriced: list = field(default_factory=list)
    retired: list = field(default_factory=list)
    # Names that another file has at a lower price.
    dearer: list = field(default_factory=list)
    removed: list = field(default_factory=list)
    added: list = field(default_factory=list)

    @property
    def strays(self) -> list:
        return [ident for ident, reason in self.kept.items() if reason is None]


class Vendor:
    def __init__(self, file: files.ProviderFile, rules: dict, lists: Lists):
        self.file, self.rules, self.lists = file, Rules(rules), lists
        self.theirs = lists.genai.get(rules.get("genai"), [])
        self.result = Result(file.name)

    def build(self, others: dict) -> Result:
        """- Parameter others: results of other vendors that are there already, for names that cost less in them."""
        candidates = self.from_litellm()
        self.add_from_genai(candidates)
        for ident, entry in candidates.items():
            self.take(ident, entry, others)
        for ident, reason in self.kept().items():
            if ident not in self.file.blocks:
                raise ValueError(f"{self.file.path}: {ident} is to be kept and is not there")
            self.result.blocks[ident] = self.file.blocks[ident]
            self.result.endpoints[ident] = (self.file.models[ident].get("endpoints") or ["chat"])[0]
            self.result.kept[ident] = reason
        self.result.removed = sorted(set(self.file.blocks) - set(self.result.blocks))
        self.result.added = sorted(set(self.result.blocks) - set(self.file.blocks))
        return self.result

    def kept(self) -> dict:
        """Rows that stay as they are, and why."""
        rows = dict(self.rules.said.get("keep") or {})
        known = {ident for ident, _ in self.result.retired}
        for ident, model in self.file.models.items():
            if ident in self.result.blocks or ident in rows or ident in known:
                continue
            # The lists know few embeddings, and vendors keep them for years.
            if self.rules.said.get("keep_others") or model.get("endpoints") == ["embeddings"]:
                rows[ident] = None
        return rows

    def from_litellm(self) -> dict:
        candidates = {}
        vendors = self.rules.said.get("litellm") or []
        for name, entry in sorted(self.lists.litellm.items()):
            if entry.get("litellm_provider") not in vendors:
                continue
            ident = name
            for vendor in vendors:
                ident = ident.removeprefix(vendor + "/")
            if self.rules.matches("exclude", ident) or litellm.endpoint(entry) not in self.served:
                continue
            if litellm.endpoint(entry) == "chat" and not self.is_current(ident, entry):
                continue
            if entry.get("deprecation_date") and entry["deprecation_date"] <= self.lists.day:
                self.result.retired.append((ident, entry["deprecation_date"]))
                continue
            candidates[ident] = entry
        return candidates

    def is_current(self, ident: str, entry: dict) -> bool:
        """Lists keep what a vendor has dropped; where they do, a model for chat needs a witness."""
        checks = []
        if "source" in self.rules.said:
            checks.append(self.rules.matches("source", entry.get("source") or ""))
        if self.rules.said.get("confirmed"):
            checks.append(any(model.is_named(ident) and model.context and not model.deprecated for model in self.theirs))
        return any(checks) if checks else True

    @property
    def served(self) -> set:
        # A family that converses in its own dialect serves what the lists call chat.
        return self.file.endpoints | ({"chat"} if "messages" in self.file.endpoints else set())

    def add_from_genai(self, candidates: dict) -> None:
        known = {ident.lower() for ident in candidates} | {ident.lower() for ident, _ in self.result.retired}
        for model in self.theirs:
            ident = model.ident.lower() if self.rules.said.get("lower") else model.ident
            if self.rules.matches("add", ident) and not model.deprecated and ident.lower() not in known and (model.name or model.context):
                if not self.rules.matches("exclude", ident):
                    candidates[ident] = None

    def take(self, ident: str, entry: dict | None, others: dict) -> None:
        model = next((model for model in self.theirs if model.is_named(ident)), None)
        price = self.price(ident, entry, model)
        hand = (self.rules.said.get("models") or {}).get(ident) or {}
        if price is None and not (hand.get("price") == "none" or self.rules.matches("unpriced", ident)):
            self.result.unpriced.append(ident)
            return
        rival = others.get(self.rules.said.get("cheaper_in"))
        if rival and ident in rival.blocks:
            self.result.dearer.append(ident)
            return
        endpoint = litellm.endpoint(entry) if entry else "chat"
        chat = self.rules.said.get("chat", ["chat"])
        before = self.file.models.get(ident) or {}
        said = {
            "id": ident,
            "display_name": before.get("display_name") or (model and model.name if not entry else None),
            "description": before.get("description"),
            "context_length": (litellm.context(entry) if entry else model.context) or before.get("context_length"),
            "max_output_tokens": (litellm.output(entry) if entry else None) or before.get("max_output_tokens"),
            "endpoints": chat if endpoint == "chat" else [name for name in litellm.endpoints(entry) if name in self.served],
            "reasoning": self.thinks(ident, entry) or before.get("reasoning"),
            "price": prices.inline(price) if price and hand.get("price") != "none" else None,
            **{key: value for key, value in hand.items() if key != "price"},
        }  # yapf: disable
        if endpoint not in ("chat", "responses"):
            said["reasoning"] = None
        self.result.blocks[ident] = files.block(said)
        self.result.endpoints[ident] = endpoint

    def price(self, ident: str, entry: dict | None, model) -> Price | None:
        """The price of both lists; None where neither has one that can be believed."""
        if self.rules.said.get("prices") is False:
            return None
        endpoint = litellm.endpoint(entry) if entry else "chat"
        first = litellm.price(entry, self.rules.search_unit(ident)) if entry else None
        second = None
        # That list has tokens of words and of pictures apart, and of pictures only those.
        if model is not None and endpoint != "images":
            second, is_timed = model.price(self.lists.day)
            if self.needs_vendors_figure(model, is_timed):
                return Price(upstream=True)
            self.fit(second, ident, first)
        first, second = (price if price is not None and self.is_credible(price, ident) else None for price in (first, second))
        if first is None and second is None:
            return None
        result, apart = prices.merged(first, second) if first is not None else (second, [])
        self.result.apart += [(ident, *figure) for figure in apart]
        if endpoint == "embeddings":
            # There is no answer in tokens, though a list may price one.
            for rates in (result.rates, *result.services.values()):
                rates.base["output"] = Decimal(0)
        prices.carried(result, (self.file.models.get(ident) or {}).get("price"))
        return prices.completed(result)

    def fit(self, second: Price, ident: str, first: Price | None) -> None:
        """Takes out of the second list's price what the first one or the rules know better."""
        if self.rules.search_unit(ident) != "search":
            second.units.pop("search", None)
        if first is None:
            if self.rules.search_unit(ident) == "search" and self.makers_search(ident):
                second.units.setdefault("search", self.makers_search(ident))
            return
        second.units.pop("request", None)
        if first.units and not any(first.rates.base.values()):
            second.rates, second.services = Rates(), {}

    def is_credible(self, price: Price, ident: str) -> bool:
        return not price.is_free or self.rules.matches("free", ident)

    def needs_vendors_figure(self, model, is_timed: bool) -> bool:
        """OpenRouter bills some models in a way that a row has no words for, and says the cost of each answer."""
        if self.file.name != "openrouter":
            return False
        image = model.image_output
        output = model.conditions()[-1]["prices"].get("output_mtok")
        return is_timed or image is not None and image != output

    def thinks(self, ident: str, entry: dict | None) -> bool | None:
        if entry is not None:
            return litellm.thinks(ident, entry)
        # A router's model is its maker's: what the list says of that one holds.
        return self.makers().get(bare(ident))

    def makers_search(self, ident: str) -> Decimal | None:
        """What a search of OpenAI's and Anthropic's own costs, which routers pass on."""
        maker = ident.split("/")[0]
        if not self.lists.searches:
            for name, entry in self.lists.litellm.items():
                price = litellm.price(entry, "search") if entry.get("litellm_provider") in ("openai", "anthropic") else None
                if price and price.units.get("search"):
                    self.lists.searches[entry["litellm_provider"], bare(name)] = price.units["search"]
        return self.lists.searches.get((maker, bare(ident)))

    def makers(self) -> dict:
        if not self.lists.makers:
            self.lists.makers = {bare(name): True for name, entry in self.lists.litellm.items() if litellm.thinks(name, entry)}
        return self.lists.makers


def bare(name: str) -> str:
    return name.split("/")[-1].split(":")[0].lower().replace(".", "-")
