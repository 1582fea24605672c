"""``python -m gradus.measure.memory CHECKPOINT TEXTS.json DTYPE``: peak memory of predicting.

Prints one number, 10^6 bytes. A process of its own, because a peak can't be reset.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gradus.hardware import peak_memory_mb


def main(arguments: list[str]) -> None:
    """Load the checkpoint, predict the texts, print the peak."""
    from gradus.predict import load

    checkpoint, texts, dtype = arguments
    model = load(Path(checkpoint), dtype=dtype, verify=False)
    model.predict(json.loads(Path(texts).read_text(encoding="utf-8")))
    print(f"{peak_memory_mb():.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
