"""Run by torchrun: `gradus ARGS` whose second process alone is told to stop, in its features.

The first one's are computed already; it waits for the second one's part of what comes next.
"""

from __future__ import annotations

import os
import signal
import sys

from gradus.cli.main import main
from gradus.training.activations import Activations

filled = Activations.fill


def stopped_while_filling(self: Activations) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    filled(self)


if os.environ["RANK"] == "1":
    Activations.fill = stopped_while_filling  # type: ignore[method-assign]
sys.exit(main())
