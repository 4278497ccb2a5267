#!/usr/bin/env python3
"""Tables and plots from a file of rows: `Benchmarks/report.py Benchmarks/results/NAME.jsonl` writes results/NAME/report.md and its SVGs.

Several files are the sittings of one run, in the order of their time: of a case that was measured in more than one, the last counts.
With --readme the short tables go into Benchmarks/README.md as well, between its markers.
"""

import os
import re
import sys

from harness import sections
from harness.rows import Results

HERE = os.path.dirname(os.path.abspath(__file__))


def write_report(path, earlier):
    results = Results(path, earlier)
    folder = path.removesuffix(".jsonl")
    os.makedirs(folder, exist_ok=True)
    plots = {}
    text = sections.heading(results, os.path.basename(path))
    for section in sections.ALL:
        text += section(results, plots)
    for name, svg in plots.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(svg)
    with open(os.path.join(folder, "report.md"), "w") as file:
        file.write(text)
    return results, os.path.join(folder, "report.md")


def into_readme(results, name):
    path = os.path.join(HERE, "README.md")
    with open(path) as file:
        text = file.read()
    new = "<!-- results -->\n" + sections.summary(results, name) + "<!-- /results -->"
    changed, n = re.subn(r"<!-- results -->.*?<!-- /results -->", lambda _: new, text, flags=re.DOTALL)
    if n != 1:
        sys.exit("Benchmarks/README.md has lost its <!-- results --> markers")
    with open(path, "w") as file:
        file.write(changed)


def main(arguments):
    readme = "--readme" in arguments
    paths = [word for word in arguments if not word.startswith("--")]
    if not paths or not all(map(os.path.exists, paths)):
        sys.exit(__doc__)
    results, report = write_report(paths[-1], paths[:-1])
    print(f"tables and plots: {report}")
    if readme:
        into_readme(results, os.path.basename(paths[-1]).removesuffix(".jsonl"))


if __name__ == "__main__":
    main(sys.argv[1:])
