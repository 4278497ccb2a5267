"""Where the lists come from: a folder, or the newest packages on PyPI."""
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from . import genai

LITELLM = ("litellm-prices.json", "model_prices_and_context_window_backup.json")
GENAI = ("data.py", "genai-prices.py")
IN_WHEEL = {"litellm": "litellm/model_prices_and_context_window_backup.json", "genai_prices": "genai_prices/data.py"}


@dataclass
class Lists:
    litellm: dict
    genai: dict
    # ISO day.
    day: str
    # What is looked up again and again, by bare names: who thinks, what a search costs.
    makers: dict = field(default_factory=dict)
    searches: dict = field(default_factory=dict)


def load(folder: str | None, day: str) -> Lists:
    """What the folder does not have comes from PyPI."""
    texts = {package: found(folder, package) for package in IN_WHEEL}
    for package, text in texts.items():
        if text is None:
            texts[package] = downloaded(package)
    return Lists(json.loads(texts["litellm"], parse_float=Decimal), genai.read(texts["genai_prices"]), day)


def found(folder: str | None, package: str) -> str | None:
    if folder is None:
        return None
    for name in LITELLM if package == "litellm" else GENAI:
        if (Path(folder) / name).is_file():
            return (Path(folder) / name).read_text(encoding="utf-8")
    wheels = sorted(Path(folder).glob(package + "-*.whl"))
    return unpacked(wheels[-1], package) if wheels else None


def unpacked(wheel: Path, package: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(IN_WHEEL[package]).decode("utf-8")


def downloaded(package: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, package]
        subprocess.run(command, check=True)
        return unpacked(next(Path(folder).glob(package + "-*.whl")), package)
