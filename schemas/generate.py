"""Writes hold.avsc, change.avsc and release.avsc from notice.template.json, so that they can't differ.

Run `python schemas/generate.py` after each change of the template; a test compares the files with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def notice_schemas() -> dict[str, dict[str, Any]]:
    """Schemas by kind of notice: the template's fields under the kind's own name and doc."""
    template = json.loads((FOLDER / "notice.template.json").read_text())
    kinds: dict[str, str] = template.pop("kinds")
    return {kind: {"type": "record", "name": kind.capitalize(), **template, "doc": doc} for kind, doc in kinds.items()}


def main() -> None:
    for kind, schema in notice_schemas().items():
        (FOLDER / f"{kind}.avsc").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
