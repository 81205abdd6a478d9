"""Writes the open cycles of the adversarial stream after every block, to be executed by `tests.tools.adversarial`.

python -m tests.support.opened FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.handlers.test_hostile_pools import stream
from tests.support.executions import as_json


def main(file: str) -> None:
    """The command line."""
    one = stream()
    with Path(file).open("w") as lines:
        for block in range(1, one.truth["meta"]["blocks"] + 1):
            opened = [as_json(one.said(row)) for row in one.open_after(block).values()]
            if opened:
                lines.write(json.dumps({"block": block, "open": opened}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
