"""Texts to calibrate and measure token counts on: what fetch.sh fetched, and Swift sources of the checked-out packages.

Training and measuring never share a source: the estimator is measured on texts that its tables have not seen.
"""
import glob
import gzip
import html
import json
import os
import random
import re

SAMPLE_BYTES = 1024


def plain(page):
    """The text of an HTML page, with its preformatted parts."""
    body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", "", page)
    body = re.sub(r"(?i)</(p|div|h\d|li|dt|dd|pre|tr)>", "\n", body)
    body = html.unescape(re.sub(r"(?s)<[^>]*>", "", body)).replace("\u00a0", " ").replace("\u200b", "")
    return re.sub(r"\n\s*\n+", "\n\n", body)


def prose_of(page):
    """Paragraphs only: no headings, menus or listings."""
    found = re.findall(r"(?s)<p\b[^>]*>(.*?)</p>|<div class=\"para\">(.*?)</div>", page)
    texts = (re.sub(r"\s+", " ", html.unescape(re.sub(r"(?s)<[^>]*>", "", a or b))).strip() for a, b in found)
    return "\n\n".join(text for text in texts if len(text) > 80)


def untranslated(root, pattern):
    """The English paragraphs: translations of these books hold some of them unchanged."""
    return set(joined(root, pattern, prose_of, limit=10_000_000).split("\n\n"))


def translated(text, english):
    return "\n\n".join(part for part in text.split("\n\n") if part not in english)


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        return file.read().decode("utf-8", "replace").replace("\u200b", "")


def joined(root, pattern, convert=lambda text: text, part=None, limit=1_500_000):
    """Files in a fixed random order, every other one where `part` is 0 or 1."""
    paths = sorted(path for path in glob.glob(os.path.join(root, pattern), recursive=True) if os.path.isfile(path))
    random.Random(1).shuffle(paths)
    if part is not None:
        paths = paths[part::2]
    texts, size = [], 0
    for path in paths:
        texts.append(convert(read(path)))
        size += len(texts[-1])
        if size > limit:
            break
    return "\n".join(texts)[:limit]


def fortunes(deb, part):
    """English ones; the Chinese poems beside them (chinese, song100, tang300) have other first letters."""
    return joined(deb, "games/fortunes/[c-p][!h]*.u8", part=part, limit=400_000)


def compact(text):
    """Half of the JSON files as programs send them: without spaces."""
    return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) if len(text) % 2 else text


def training(folder, checkouts):
    """{name: (text, weight)}: a weight scales what the text counts in the tables."""
    deb, packages = folder + "/deb/x/usr/share", folder + "/json/x"
    english = untranslated(deb, "debian-reference/ch*.en.html")

    def reference(code):
        return translated(joined(deb, f"debian-reference/ch*.{code}.html", prose_of), english)

    handbook = untranslated(deb, "doc/debian-handbook/html/en-US/*.html")

    def foreign(page):
        return translated(prose_of(page), handbook)

    return {
        "english prose": (joined(deb, "debian-reference/ch*.en.html", prose_of) + fortunes(deb, 0), 4),
        "chinese": (reference("zh-cn") + joined(deb, "doc/maint-guide-zh-cn/**/*.html", prose_of)
                    + joined(deb, "doc/debian/FAQ/zh-cn/*.html", prose_of), 4),
        "python": (joined("/usr/lib/python3.11", "*.py", part=0), 2),
        "swift": (joined(checkouts, "*/Sources/**/*.swift", part=0), 2),
        "c": (joined("/usr/include", "*.h", part=0, limit=500_000), 1),
        "json": (joined(packages, "botocore/data/*/*/paginators-1.json", compact)
                 + joined(packages, "botocore/data/[a-f]*/*/service-2.json.gz", compact, limit=1_000_000), 2),
        "markdown": (joined(checkouts, "**/*.md", part=0), 2),
        "german": (reference("de"), 1),
        "french": (reference("fr"), 1),
        "spanish": (joined(deb, "doc/maint-guide-es/**/*.html", prose_of), 1),
        "russian": (joined(deb, "doc/debian/FAQ/ru/*.html", prose_of) + joined(deb, "doc/maint-guide-ru/**/*.html", prose_of), 1),
        "japanese": (reference("ja"), 1),
        "korean": (joined(deb, "doc/debian/FAQ/ko/*.html", prose_of), 1),
        "persian": (joined(deb, "doc/debian-handbook/html/fa-IR/*.html", foreign), 1),
        "greek": (joined(deb, "doc/debian-handbook/html/el-GR/*.html", foreign), 1),
    }


def measuring(folder, checkouts):
    deb, packages = folder + "/deb/x/usr/share", folder + "/json/x"
    book = deb + "/doc/debian-handbook/html/"
    english = untranslated(book, "en-US/*.html")

    def handbook(code):
        return translated(joined(book, code + "/*.html", prose_of), english)

    return {
        "English prose": joined(book, "en-US/*.html", prose_of) + fortunes(deb, 1),
        "Chinese prose": handbook("zh-CN"),
        "Chinese prose, traditional": handbook("zh-TW"),
        "Chinese poems": read(deb + "/games/fortunes/tang300.u8"),
        "Python": joined("/usr/lib/python3.11", "*.py", part=1),
        "Swift": joined(checkouts, "*/Sources/**/*.swift", part=1),
        "JSON": joined(packages, "cfnlint/data/schemas/resources/*.json", compact, limit=1_000_000)
        + joined(checkouts, "swift-collections/**/*.json", compact),
        "Markdown, code in prose": joined(checkouts, "**/*.md", part=1) + joined(book, "en-US/*.html", plain),
        "Chinese mixed with commands": joined(book, "zh-CN/*.html", plain),
        "German prose": handbook("de-DE"),
        "French prose": handbook("fr-FR"),
        "Spanish prose": handbook("es-ES"),
        "Russian prose": handbook("ru-RU"),
        "Japanese prose": handbook("ja-JP"),
        "Korean prose": handbook("ko-KR"),
        "Arabic prose": handbook("ar-MA"),
    }


def samples(text, count=200):
    """Pieces of 1 KB of UTF-8, cut between characters, spread evenly over the text."""
    data = text.encode()
    step = max(SAMPLE_BYTES, len(data) // count)
    for start in range(0, len(data) - SAMPLE_BYTES, step):
        yield data[start:start + SAMPLE_BYTES].decode("utf-8", "ignore")
