"""docs/catalogue.md."""
from .prices import text

HEAD = """# The catalogue

Made by `Scripts/import-models.py` from the price lists of the PyPI packages litellm and genai-prices (both MIT), as the models of
`providers/*.yaml` are; `--check` says whether both are what the lists say. Where the lists differ by more than rounding in a figure, the
dearer one is in the provider file and the pair stands below. What the script knows of a vendor beyond the lists is in
`Scripts/catalogue/vendors.yaml`.

## Vendors

| vendor | models | of them | list of | lists |
|---|---:|---|---|---|
"""


def report(results: dict, days: dict, rules: dict) -> str:
    """- Parameter days: the day of the list that is in each vendor's file."""
    parts = [HEAD]
    for name, result in results.items():
        kinds: dict = {}
        for endpoint in result.endpoints.values():
            kinds[endpoint] = kinds.get(endpoint, 0) + 1
        of = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
        lists = " and ".join(kind for kind, key in (("litellm", "litellm"), ("genai-prices", "genai")) if rules[name].get(key))
        if rules[name].get("prices") is False:
            lists += " (names only)"
        parts.append(f"| `{name}` | {len(result.blocks)} | {of} | {days[name]} | {lists} |\n")
    parts.append("\nNot from a list:\n\n")
    parts += [f"- `{name}`: {why}.\n" for name, why in rules["without"].items()]
    apart = [(name, *row) for name, result in results.items() for row in result.apart if row[0] in result.blocks]
    models = {row[:2] for row in apart}
    parts.append(f"\n## Where the lists disagree\n\n{len(apart)} figures of {len(models)} models, USD per million tokens"
                 " (searches: USD each). \"–\": that list has no such tier.\n\n")
    parts.append("| vendor | model | figure | litellm | genai-prices |\n|---|---|---|---:|---:|\n")
    parts += [f"| `{name}` | `{model}` | {figure} | {shown(one)} | {shown(other)} |\n" for name, model, figure, one, other in apart]
    parts.append("\n## Left out and kept\n\n")
    parts.append("Kept as they were, because tests or documents name them:\n\n")
    kept = [(name, model, why) for name, result in results.items() for model, why in sorted(result.kept.items()) if why]
    parts += [f"- `{name}`: `{model}` ({why})\n" for name, model, why in kept]
    for title, key in (("Kept as they were, though neither list has them", "strays"),
                       ("In a list, without a price that can be believed, and left out", "unpriced"),
                       ("Left out because OpenRouter has the same name, whose price would be charged for both", "dearer")):
        lines = [f"- `{name}`: {', '.join(f'`{model}`' for model in sorted(getattr(result, key)))}\n"
                 for name, result in results.items() if getattr(result, key)]
        if lines:
            parts.append(f"\n{title}:\n\n" + "".join(lines))
    ended = {name: sorted({model for model, _ in result.retired}) for name, result in results.items()}
    parts.append("\nModels whose vendor has retired them by the day of the list, by the list's own date, are left out: "
                 + ", ".join(f"{len(models)} of `{name}`" for name, models in ended.items() if models) + ".\n")
    return "".join(parts)


def shown(value) -> str:
    return "–" if value is None else text(value)
