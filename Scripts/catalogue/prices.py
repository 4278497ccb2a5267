"""Prices as the provider files know them, in exact decimals: USD per million tokens or characters, USD per unit of the rest."""
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal

MILLION = Decimal(1_000_000)
# Two figures this far apart, as a part of the larger, are one figure that somebody has rounded.
ROUNDING = Decimal("0.005")
# The order in which a row names its rates.
RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input", "audio_output")
UNITS = ("character", "image_input", "image", "request", "search", "audio_second")
# Rates that follow the output's where a list does not tell them for a tier; the others follow the input's.
OUTPUTS = ("reasoning", "audio_output")


def clean(value) -> Decimal:
    """A figure of a list without the noise of the floats that others have made of it (8.900000000000001e-07).

    Twelve significant digits are more than any price has.
    """
    return Context(prec=12).create_decimal(Decimal(str(value)))


def per_million(value) -> Decimal:
    return fine(clean(value) * MILLION)


def fine(value: Decimal) -> Decimal:
    """Rounded up to what the gateway keeps: 10^-15 USD per token."""
    return value if value.as_tuple().exponent >= -9 else value.quantize(Decimal("1e-9"), rounding=ROUND_CEILING)


def text(value: Decimal) -> str:
    plain = format(value.normalize(), "f")
    return plain if plain != "-0" else "0"


@dataclass
class Rates:
    """What tokens cost, and above so many prompt tokens what all of them cost."""

    base: dict = field(default_factory=dict)
    tiers: dict = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.base)


@dataclass
class Price:
    rates: Rates = field(default_factory=Rates)
    units: dict = field(default_factory=dict)
    services: dict = field(default_factory=dict)
    # The vendor's own figure is charged: a row has no words for its price.
    upstream: bool = False

    @property
    def is_free(self) -> bool:
        return not self.upstream and not any(self.rates.base.values()) and not any(self.units.values())


def proportional(name: str, whole: dict, part: dict) -> Decimal:
    """What a tier asks for something that a list does not price there: as much more or less as for its input, or its output."""
    lead = "output" if name in OUTPUTS else "input"
    if not whole.get(lead) or lead not in part:
        return whole[name]
    return fine(clean(whole[name] * part[lead] / whole[lead]))


def completed(price: Price) -> Price:
    """Every tier with all rates that the row has, and nothing that says the same twice."""
    base = price.rates.base
    base.setdefault("input", Decimal(0))
    base.setdefault("output", Decimal(0))
    for tier in price.rates.tiers.values():
        complete(tier, base)
    for service in price.services.values():
        complete(service.base, base)
        for above, tier in price.rates.tiers.items():
            complete(service.tiers.setdefault(above, scaled(tier, base, service.base)), service.base)
        for tier in service.tiers.values():
            complete(tier, service.base)
    tidy(price.rates)
    for service in price.services.values():
        tidy(service)
    price.services = {name: service for name, service in price.services.items() if service != price.rates and service.base.get("input")}
    price.units = {name: value for name, value in price.units.items() if value}
    return price


def carried(price: Price, before) -> None:
    """What no list tells stays as the file has it: fees for one thing, and the rates of tokens while input and output cost the same.

    - Parameter before: the value of `price:`, a mapping of texts where the row has prices.
    """
    if price.upstream or not isinstance(before, dict):
        return
    base = price.rates.base
    # A row has tokens or a unit; these come on top of tokens.
    for name in ("image", "request", "search"):
        if name in before and any(base.values()):
            price.units.setdefault(name, Decimal(before[name]))
    if all(base.get(name) == Decimal(before[name]) for name in ("input", "output")):
        for name in RATES:
            if name in before:
                base.setdefault(name, Decimal(before[name]))


def complete(part: dict, whole: dict) -> None:
    for name in RATES:
        if name not in part and name in whole:
            part[name] = proportional(name, whole, part)


def scaled(tier: dict, base: dict, service: dict) -> dict:
    """A tier of size of a service tier, where a list has none."""
    return {
        name: fine(clean(value * service[name] / base[name])) if base.get(name) and name in service else value
        for name, value in tier.items()
    }


def tidy(rates: Rates) -> None:
    for table in [rates.base, *rates.tiers.values()]:
        for name in RATES[2:]:
            # A zero beside a real price means "not priced apart", not "free"; and thoughts cost what the answer does unless said otherwise.
            if name in table and (not table[name] or name == "reasoning" and table[name] == table.get("output")):
                del table[name]
    rates.tiers = {above: tier for above, tier in sorted(rates.tiers.items()) if tier != rates.base}


def flat(price: Price) -> dict:
    """Each single figure by its path, such as `batch, above 200000: input`."""
    figures = {name: value for name, value in price.units.items()}
    for service, rates in [("", price.rates), *price.services.items()]:
        for above, table in [(0, rates.base), *rates.tiers.items()]:
            place = ", ".join([*([service] if service else []), *([f"above {above}"] if above else [])])
            figures.update({f"{place}: {name}" if place else name: value for name, value in table.items()})
    return figures


def differ(left: Decimal, right: Decimal) -> bool:
    larger = max(abs(left), abs(right))
    return larger > 0 and abs(left - right) / larger > ROUNDING


def merged(first: Price, second: Price | None):
    """Both lists in one: each figure from the list that has it; where both have it, the first one's, unless the second's is dearer.

    - Returns: the price, and the figures that differ by more than rounding, as `(path, first, second)`.
    """
    if second is None or first.upstream or second.upstream:
        return first, []
    aligned(first, second)
    left, right = flat(first), flat(second)
    apart = [(path, value, right[path]) for path, value in left.items() if path in right and differ(value, right[path])]
    result = Price(Rates(union(first.rates.base, second.rates.base)), union(first.units, second.units))
    result.rates.tiers = tables(first.rates, second.rates)
    for above in sorted(set(first.rates.tiers) ^ set(second.rates.tiers)):
        one, other = (side.rates.tiers.get(above, {}).get("input") for side in (first, second))
        apart.append((f"above {above}: input", one, other))
    for name in {**first.services, **second.services}:
        one, other = first.services.get(name, Rates()), second.services.get(name, Rates())
        result.services[name] = Rates(union(one.base, other.base), tables(one, other))
    return result, apart


def aligned(*prices: Price) -> None:
    """"From 200,000 on" and "above 200,000" are one tier, which begins where the earlier one does."""
    tables = [rates for price in prices for rates in (price.rates, *price.services.values())]
    starts = {above for rates in tables for above in rates.tiers}
    for rates in tables:
        rates.tiers = {above - 1 if above - 1 in starts else above: tier for above, tier in rates.tiers.items()}


def union(left: dict, right: dict) -> dict:
    result = {**right, **left}
    for name in left.keys() & right.keys():
        if differ(left[name], right[name]):
            result[name] = max(left[name], right[name])
    return result


def tables(left: Rates, right: Rates) -> dict:
    return {above: union(left.tiers.get(above, {}), right.tiers.get(above, {})) for above in {**left.tiers, **right.tiers}}


def inline(price: Price) -> str:
    """As the value of `price:`; what is nested comes last."""
    if price.upstream:
        return "upstream_cost"
    parts = [rates_text(price.rates.base)] + [f'{name}: "{text(price.units[name])}"' for name in UNITS if name in price.units]
    parts += tiers_text(price.rates)
    if price.services:
        services = [
            f"{name}: {{ {', '.join([rates_text(rates.base), *tiers_text(rates)])} }}" for name, rates in sorted(price.services.items())
        ]
        parts.append("service_tiers: { " + ", ".join(services) + " }")
    return "{ " + ", ".join(parts) + " }"


def rates_text(table: dict) -> str:
    return ", ".join(f'{name}: "{text(table[name])}"' for name in RATES if name in table)


def tiers_text(rates: Rates) -> list:
    tiers = [f"{{ above: {above}, {rates_text(table)} }}" for above, table in sorted(rates.tiers.items())]
    return ["tiers: [" + ", ".join(tiers) + "]"] if tiers else []
