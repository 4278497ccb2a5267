"""Counts the texts of Tests/RouterCoreTests/TokenSamples.swift with o200k_base and writes the figures into that file.

Usage: venv/bin/python samples.py (from the repo's root; prints what changed)
"""
import re
import textwrap

import bpe_openai

PATH = "Tests/RouterCoreTests/TokenSamples.swift"
SAMPLE = re.compile(r'TokenSample\("(?P<name>[^"]*)", (?P<tokens>\d+), #"""\n(?P<text>.*?)\n            """#\)', re.S)


def main():
    encoding = bpe_openai.get_encoding("o200k_base")

    def counted(found):
        real = len(encoding.encode_ordinary(textwrap.dedent(found["text"])))
        if real != int(found["tokens"]):
            print(f"{found['name']}: {found['tokens']} -> {real}")
        return found[0].replace(f'", {found["tokens"]}, #', f'", {real}, #', 1)

    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(SAMPLE.sub(counted, text))


if __name__ == "__main__":
    main()
