"""Writes tokenizers/o200k_base.tokens from the rank file inside the PyPI package bpe-openai: by rank, a length byte and the bytes.

Usage: venv/bin/python vocabulary.py NAME OUTPUT
"""
import base64
import gzip
import importlib.resources
import sys


def main(name, output):
    packed = importlib.resources.files("bpe_openai").joinpath(f"data/{name}.tiktoken.gz").read_bytes()
    pairs = [line.split() for line in gzip.decompress(packed).splitlines() if line]
    tokens = [base64.b64decode(token) for token, rank in sorted(pairs, key=lambda pair: int(pair[1]))]
    assert [int(rank) for _, rank in sorted(pairs, key=lambda pair: int(pair[1]))] == list(range(len(tokens)))
    with open(output, "wb") as file:
        for token in tokens:
            file.write(bytes([len(token)]) + token)


if __name__ == "__main__":
    main(*sys.argv[1:])
