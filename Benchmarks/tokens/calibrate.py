"""Prints the cost tables of TextTokens as Swift: mean tokens of o200k_base per kind of piece and length, in thousandths.

The vocabulary's own pattern cuts text into pieces that are encoded alone, so the mean per class of piece is the best figure
that a class can have. Usage: venv/bin/python calibrate.py FOLDER CHECKOUTS > tables
"""
import collections
import sys

import bpe_openai
import regex

import corpus

O200K = regex.compile(
    r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"""
    r"""|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+""")
WORD = regex.compile(r"([^A-Za-z]?)([A-Z]*)([a-z]*)('[a-z]{1,2})?")
LONGEST = {"word": 12, "punctuation": 8, "space": 8}
SCRIPTS = [
    ("latin", r"\p{Latin}"), ("greek", r"\p{Greek}"), ("cyrillic", r"\p{Cyrillic}"), ("semitic", r"[\p{Arabic}\p{Hebrew}]"),
    ("hangul", r"\p{Hangul}"), ("kana", r"[\p{Hiragana}\p{Katakana}ー]"), ("han", r"\p{Han}"), ("other", r"[\p{L}\p{M}]")]


def classify(piece):
    """(table, row, length) of an ASCII piece, or None."""
    if piece.isascii() and any(c.isalpha() for c in piece):
        found = WORD.fullmatch(piece)
        if not found:
            return None
        prefix, upper, lower, contraction = found.groups()
        if contraction:
            return ("contraction", 0, len(contraction) - 1)
        case = 0 if not upper else 1 if len(upper) == 1 and lower else 2
        row = 3 * (0 if not prefix else 1 if prefix == " " else 2) + case
        return ("word", row, len(upper + lower))
    if piece.isascii() and piece.isdigit():
        return ("digits", 0, len(piece))
    if piece.isspace():
        return ("space", 1 if "\n" in piece or "\r" in piece else 0, len(piece))
    if piece.isascii():
        body = piece.rstrip("\r\n")
        # Of more than three same marks in a row only three count: rules and underlines are one token.
        marks = regex.sub(r"(.)\1{3,}", r"\1\1\1", body.lstrip(" "))
        return ("punctuation", 2 * (len(set(marks)) > 1) + (body != piece), len(marks))
    return None


def tally(folder, checkouts):
    encoding = bpe_openai.get_encoding("o200k_base")
    cache, sums, mixed = {}, collections.defaultdict(lambda: [0.0, 0.0]), collections.Counter()
    for name, (text, weight) in corpus.training(folder, checkouts).items():
        scale = weight * 1_000_000 / len(text.encode())
        for piece, count in collections.Counter(O200K.findall(text)).items():
            if piece not in cache:
                cache[piece] = len(encoding.encode_ordinary(piece))
            place = classify(piece)
            if place is None:
                mixed[(piece, name)] += count * scale
            else:
                table, row, length = place
                entry = sums[(table, row, min(length, LONGEST.get(table, length)))]
                entry[0] += count * scale * cache[piece]
                entry[1] += count * scale
    return cache, sums, mixed


def rising(cells):
    """Means in thousandths that never fall with the length: what is rare is pooled with its neighbours."""
    blocks = []
    for tokens, weight in cells:
        blocks.append([tokens + 50, weight + 50, 1] if not blocks else [tokens + 50 * blocks[-1][0] / blocks[-1][1], weight + 50, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            tokens, weight, length = blocks.pop()
            blocks[-1] = [blocks[-1][0] + tokens, blocks[-1][1] + weight, blocks[-1][2] + length]
    return [round(1000 * tokens / weight) for tokens, weight, length in blocks for _ in range(length)]


def print_tables(sums):
    for table, rows in (("word", 9), ("punctuation", 4), ("space", 2)):
        print(f"// {table}: a row per class, by length")
        for row in range(rows):
            line = rising([sums.get((table, row, length), (0, 0)) for length in range(1, LONGEST[table] + 1)])
            print("        " + ", ".join(map(str, line)) + ",")
    for key in sorted(key for key in sums if key[0] in ("contraction", "digits")):
        print("//", key, round(1000 * sums[key][0] / sums[key][1]), round(sums[key][1]))


def regress(cache, mixed):
    """Scripts beyond ASCII: tokens of a run = a + b · characters, by least squares over weighted pieces."""
    letters = [regex.compile(pattern) for _, pattern in SCRIPTS]
    runs = collections.defaultdict(lambda: collections.defaultdict(lambda: [0.0, 0.0]))
    for (piece, _), weight in mixed.items():
        body = piece.lstrip(" ")
        spaced = " spaced" if body != piece else ""
        for number, pattern in enumerate(letters):
            if all(pattern.match(c) for c in body) and body:
                entry = runs[SCRIPTS[number][0] + spaced][min(len(body), 12)]
                entry[0] += weight * cache[piece]
                entry[1] += weight
                break
        else:
            if not any(c.isalpha() for c in body):
                kind = "cjk marks" if "\u3000" <= body[0] <= "\u303f" or "\uff00" <= body[0] else "marks"
                entry = runs[kind][min(len(body), 4)]
            elif regex.fullmatch(r"[^\p{L}]\p{Han}+", body):
                entry = runs["han after mark"][min(len(body) - 1, 12)]
            else:
                entry = runs["rest"][min(len(body), 12)]
            entry[0] += weight * cache[piece]
            entry[1] += weight
    for name, table in runs.items():
        print("//", name, {length: (round(1000 * t / w), round(w)) for length, (t, w) in sorted(table.items()) if w > 20})


if __name__ == "__main__":
    cache, sums, mixed = tally(sys.argv[1], sys.argv[2])
    print_tables(sums)
    regress(cache, mixed)
