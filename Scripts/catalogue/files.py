"""The `models:` of provider files, read and written as text: what stands above them is people's."""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

# Everything is text: a price must not become a float on its way.
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
MARK = re.compile(r"^# The list below: .* of (\d{4}-\d{2}-\d{2})\b.*\n", re.M)


@dataclass
class ProviderFile:
    path: Path
    head: str
    # What the file says of each model, and the lines that say it.
    models: dict = field(default_factory=dict)
    blocks: dict = field(default_factory=dict)
    endpoints: set = field(default_factory=set)
    # The day of the list that is in it; None where people wrote it.
    day: str | None = None

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> ProviderFile:
    text = path.read_text(encoding="utf-8")
    head, _, tail = text.partition("\nmodels:")
    said = yaml.load(text, Loader=LOADER)
    mark = MARK.search(head + "\n")
    file = ProviderFile(path, MARK.sub("", head + "\n"), day=mark and mark.group(1))
    served = said.get("endpoints") or dict.fromkeys(("chat", "messages", "completions", "embeddings", "models"), "true")
    file.endpoints = {name for name, value in served.items() if value not in ("false", "no", "off")}
    file.models = {model["id"]: model for model in said.get("models") or []}
    for block in re.split(r"^(?=  - id:)", tail, flags=re.M)[1:]:
        lines = [line for line in block.rstrip("\n").split("\n") if not re.match(r"  #", line)]
        ident = lines[0].partition(":")[2].strip()
        file.blocks[json.loads(ident) if ident.startswith('"') else ident] = "\n".join(lines)
    return file


def block(model: dict) -> str:
    """The lines of one model."""
    ident = model["id"]
    lines = [f"  - id: {quoted(ident) if re.search(r'[^A-Za-z0-9/._-]', ident) else ident}"]
    for key in ("display_name", "description"):
        if model.get(key):
            lines.append(f"    {key}: {quoted(model[key])}")
    for key in ("context_length", "max_output_tokens"):
        if model.get(key):
            lines.append(f"    {key}: {int(model[key])}")
    if model.get("endpoints"):
        lines.append(f"    endpoints: [{', '.join(model['endpoints'])}]")
    if model.get("reasoning") is not None:
        lines.append(f"    reasoning: {str(model['reasoning']).lower()}")
    if model.get("price"):
        lines.append(f"    price: {model['price']}")
    return "\n".join(lines)


def quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def text(file: ProviderFile, blocks: dict, day: str) -> str:
    """The whole file with these models in the order of their names; the day stays where the models do."""
    ordered = [blocks[name] for name in sorted(blocks, key=lambda name: (name.lower(), name))]
    if file.day and "\n".join(ordered) == "\n".join(file.blocks.values()):
        day = file.day
    mark = f"# The list below: litellm and genai-prices of {day}, by Scripts/import-models.py, which replaces it (docs/catalogue.md).\n"
    return "\n".join([file.head + mark + "models:", *ordered]) + "\n"
