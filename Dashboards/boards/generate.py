#!/usr/bin/env python3
"""Writes the boards of this folder as Grafana's JSON into ../grafana/dashboards.

    python3 Dashboards/boards/generate.py           after a change here
    python3 Dashboards/boards/generate.py --check   ends with 1 where a file is not what it would write
"""

import importlib
import json
import pathlib
import sys

NAMES = ["overview", "campaign", "experiment", "anomalies", "ingest", "engine", "stores", "learning"]

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parent / "grafana" / "dashboards"


def main(arguments):
    if arguments not in ([], ["--check"]):
        sys.exit(__doc__)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    texts = {
        TARGET / f"{name}.json": json.dumps(importlib.import_module(name).BOARD, indent=1, ensure_ascii=False) + "\n"
        for name in NAMES
    }
    present = {path: path.read_text() for path in TARGET.glob("*.json")}
    if arguments:
        stale = sorted(path.name for path in present.keys() | texts.keys() if present.get(path) != texts.get(path))
        if stale:
            sys.exit(f"{', '.join(stale)}: not as generated; run python3 Dashboards/boards/generate.py")
        return
    for path in present.keys() - texts.keys():
        path.unlink()
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
