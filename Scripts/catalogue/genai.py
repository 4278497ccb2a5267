"""genai-prices' list: data.py of the package (MIT), USD per million tokens. The file is read, never run."""
import ast
import re
from dataclasses import dataclass
from decimal import Decimal

from .prices import Price, Rates, clean, fine

RATES = {
    "input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read", "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h", "output_reasoning_mtok": "reasoning", "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
}  # yapf: disable
# A name that goes on like this behind the beginning that a rule asks for is a version of the same model.
VERSION = re.compile(r"([-@](latest|preview|\d{3,8}|\d{4}-\d{2}-\d{2}))?$")


@dataclass
class Model:
    ident: str
    match: dict
    name: str | None
    context: int | None
    deprecated: bool
    prices: object
    variants: list

    def is_named(self, name: str) -> bool:
        """Whether the name is this model's. Stricter than the package, whose rules take whatever contains a word."""
        name = name.lower()
        return name == self.ident.lower() or matches(self.match, name)

    def price(self, day: str) -> tuple[Price, bool]:
        """- Returns: the price of that day, and whether it depends on the time of day; of several the dearest then."""
        active = [part for part in self.conditions() if starts(part) <= day]
        if not active:
            return Price(), False
        timed = [part for part in active if (part.get("constraint") or {}).get("_") == "TimeOfDateConstraint"]
        plain = [part for part in active if part not in timed]
        parts = [plain[-1], *timed] if plain else timed
        dearest = max(parts, key=lambda part: sum(base(value) for key, value in part["prices"].items() if key != "_"))
        result = Price(rates(dearest["prices"]), units(dearest["prices"]))
        for variant in self.variants or []:
            when = variant["when"]
            service = "batch" if when == {"processing": "batch"} else when.get("service_tier")
            if service in (None, "default") or len(when) != 1 or service in result.services or starts(variant) > day:
                continue
            table = rates(variant["prices"])
            if "input" in table.base:
                result.services[service] = table
        return result, bool(timed)

    def conditions(self) -> list:
        return self.prices if isinstance(self.prices, list) else [{"prices": self.prices}]

    @property
    def image_output(self) -> Decimal | None:
        return self.conditions()[-1]["prices"].get("output_image_mtok")


def starts(part: dict) -> str:
    return (part.get("constraint") or {}).get("start_date", "")


def base(value) -> Decimal:
    return fine(clean(value["base"] if isinstance(value, dict) else value))


def rates(prices: dict) -> Rates:
    known = {name: prices[key] for key, name in RATES.items() if key in prices}
    steps = sorted({tier["start"] for value in known.values() if isinstance(value, dict) for tier in value["tiers"]})
    return Rates({name: base(value) for name, value in known.items()},
                 {step: {name: at(value, step) for name, value in known.items()} for step in steps})


def at(value, step: int) -> Decimal:
    if not isinstance(value, dict):
        return base(value)
    reached = [tier for tier in value["tiers"] if tier["start"] <= step]
    return fine(clean(max(reached, key=lambda tier: tier["start"])["price"])) if reached else base(value)


def units(prices: dict) -> dict:
    result = {}
    for key, name in (("requests_kcount", "request"), ("web_searches_kcount", "search")):
        if key in prices:
            result[name] = fine(clean(base(prices[key]) / 1000))
    if "input_mchars" in prices:
        result["character"] = base(prices["input_mchars"])
    return result


def matches(clause: dict, name: str) -> bool:
    kind = clause["_"]
    if kind == "ClauseOr":
        return any(matches(part, name) for part in clause["or_"])
    if kind == "ClauseAnd":
        return all(matches(part, name) for part in clause["and_"])
    if kind == "ClauseEquals":
        return name == clause["equals"].lower()
    if kind == "ClauseRegex":
        return re.search(clause["regex"], name) is not None
    if kind == "ClauseStartsWith":
        beginning = clause["starts_with"].lower()
        return name.startswith(beginning) and VERSION.fullmatch(name[len(beginning):]) is not None
    return False


def read(source: str) -> dict:
    """- Returns: the models of each vendor by its id, in the file's order."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.target.id == "providers":
            return {
                vendor["id"]: [
                    Model(model["id"], model["match"], model.get("name"), model.get("context_window"), bool(model.get("deprecated")),
                          model["prices"], model.get("price_variants") or []) for model in vendor.get("models", [])
                ] for vendor in value(statement.value)
            }
    raise ValueError("genai-prices: its data.py has no list of providers")


def value(node):
    """A literal or a call of a constructor with literals, as data: `Name(a=1)` is `{"a": 1, "_": "Name"}`."""
    match node:
        case ast.Constant():
            return node.value
        case ast.List() | ast.Tuple():
            return [value(part) for part in node.elts]
        case ast.Dict():
            return {value(key): value(part) for key, part in zip(node.keys, node.values)}
        case ast.UnaryOp(op=ast.USub()):
            return -value(node.operand)
        case ast.Call(func=ast.Name(id="Decimal")):
            return Decimal(value(node.args[0]))
        case ast.Call(func=ast.Attribute(attr="date")):
            return "{:04}-{:02}-{:02}".format(*[value(part) for part in node.args])
        case ast.Call():
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            return {**{word.arg: value(word.value) for word in node.keywords}, "_": name}
        case _:
            return ast.unparse(node)
