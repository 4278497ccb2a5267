#!/usr/bin/env python3
"""Renews the `models:` of the shipped provider files from public price lists, and docs/catalogue.md with them.

    Scripts/import-models.py                          the newest litellm and genai-prices on PyPI
    Scripts/import-models.py --data DIR               lists that lie there: litellm-prices.json, genai-prices' data.py, or wheels of either
    Scripts/import-models.py --vendor openai xai      these vendors only (the report is left alone)
    Scripts/import-models.py --check                  changes nothing; ends with 1 where a file is not what the lists say
    Scripts/import-models.py --openrouter LIST.json   OpenRouter's models from its own GET /api/v1/models

Everything above `models:` stays as it is. Figures are exact decimals from the text of the lists, never floating point.
"""
import argparse
import datetime
import json
import sys
from decimal import Decimal
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
from catalogue import build, files, lists, openrouter, report  # noqa: E402

RULES = Path(__file__).resolve().parent / "catalogue" / "vendors.yaml"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR", help="folder with lists; what it lacks comes from PyPI")
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    parser.add_argument("--day", help="the day of the lists (today)", default=today)
    parser.add_argument("--vendor", nargs="+", metavar="NAME", help="names of provider files")
    parser.add_argument("--check", action="store_true", help="only say what would change")
    parser.add_argument("--openrouter", metavar="LIST.json", help="OpenRouter's own list, as its API gives it")
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent, type=Path, help="the repository")
    options = parser.parse_args()
    datetime.date.fromisoformat(options.day)
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    texts, results = renewed(options, rules)
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for result in results.values():
        print(f"{result.vendor}: {len(result.blocks)} models, {len(result.added)} new, {len(result.removed)} gone, "
              f"{len({model for model, *_ in result.apart})} disputed")
    for path in stale:
        print(f"{'would change' if options.check else 'written'}: {path}")
        if not options.check:
            path.write_text(texts[path], encoding="utf-8")
    return 1 if options.check and stale else 0


def renewed(options: argparse.Namespace, rules: dict) -> tuple[dict, dict]:
    """- Returns: the texts of files by path, and the results by vendor."""
    names = [name for name in rules if name != "without"]
    unknown = set(options.vendor or []) - set(names)
    if unknown:
        sys.exit(f"no rules for {', '.join(sorted(unknown))} in {RULES}")
    source = lists.load(options.data, options.day)
    texts, results, days = {}, {}, {}
    # First those that others look at.
    for name in sorted(names, key=lambda name: (name != "openrouter", name)):
        path = options.root / "providers" / f"{name}.yaml"
        if options.vendor and name not in options.vendor and name != "openrouter" or not path.exists():
            continue
        file = files.read(path)
        vendor = build.Vendor(file, rules[name], source)
        if name == "openrouter" and options.openrouter:
            own = json.loads(Path(options.openrouter).read_text(encoding="utf-8"), parse_float=Decimal)
            result = openrouter.build(file, own)
        else:
            result = vendor.build(results)
        results[name] = result
        texts[path] = files.text(file, result.blocks, options.day)
        days[name] = files.MARK.search(texts[path]).group(1)
    results = {name: results[name] for name in sorted(results)}
    if options.vendor:
        results = {name: result for name, result in results.items() if name in options.vendor}
        return {path: text for path, text in texts.items() if path.stem in options.vendor}, results
    texts[options.root / "docs" / "catalogue.md"] = report.report(results, days, rules)
    return texts, results


if __name__ == "__main__":
    sys.exit(main())
