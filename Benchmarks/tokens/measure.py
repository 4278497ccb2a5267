"""Compares our counts with real ones on samples of 1 KB, and prints the table of docs/token-counting.md.

Usage: venv/bin/python measure.py FOLDER CHECKOUTS MICROBENCH [VOCABULARY]
(fetch.sh made FOLDER; MICROBENCH is the release executable; VOCABULARY is tokenizers/o200k_base.tokens)
"""
import json
import subprocess
import sys

import bpe_openai

import corpus


def counts(texts, *command):
    lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)
    done = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [int(line) for line in done.stdout.split()]


def row(name, ours, real):
    errors = [100 * (mine - true) / true for mine, true in zip(ours, real)]
    total = 100 * (sum(ours) - sum(real)) / sum(real)
    mean = sum(map(abs, errors)) / len(errors)
    return f"| {name} | {total:+.1f} | {mean:.1f} | {min(errors):+.0f} … {max(errors):+.0f} |"


def main(folder, checkouts, microbench, vocabulary_file=None):
    texts = {name: list(corpus.samples(text)) for name, text in corpus.measuring(folder, checkouts).items()}
    ours = {name: counts(samples, microbench, "count") for name, samples in texts.items()}
    for vocabulary in ("o200k_base", "cl100k_base"):
        encoding = bpe_openai.get_encoding(vocabulary)
        print(f"\nAgainst `{vocabulary}`, in per cent:\n")
        print("| text | all samples together | mean of a sample's error | worst samples |\n|---|---:|---:|---:|")
        for name, samples in texts.items():
            real = [len(encoding.encode_ordinary(text)) for text in samples]
            print(row(f"{name} ({len(samples)})", ours[name], real))
    encoding = bpe_openai.get_encoding("o200k_base")
    if vocabulary_file:
        wrong = []
        for name, samples in texts.items():
            found = counts(samples, microbench, "count", vocabulary_file)
            wrong += [name for text, mine in zip(samples, found) if mine != len(encoding.encode_ordinary(text))]
        total = sum(map(len, texts.values()))
        print(f"\nThe gateway's own tokenizer with `o200k_base`: {total - len(wrong)} of {total} samples exact.")
        print("Not exact: " + (", ".join(sorted(set(wrong))) or "none") + ".")
    print("\nThe rule before (a quarter token per ASCII byte, one per other character), against `o200k_base`:\n")
    print("| text | all samples together | mean of a sample's error | worst samples |\n|---|---:|---:|---:|")
    for name, samples in texts.items():
        old = [(sum(c < "\x80" for c in text) + 3) // 4 + sum(c >= "\x80" for c in text) for text in samples]
        print(row(name, old, [len(encoding.encode_ordinary(text)) for text in samples]))


if __name__ == "__main__":
    main(*sys.argv[1:])
