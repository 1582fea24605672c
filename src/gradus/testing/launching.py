"""Starting several processes of this machine that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def torchrun(*command: str, world: int = 2) -> list[str]:
    """The command that starts `world` processes of ``python *command``, on a free port."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    return [*launcher, f"--nproc-per-node={world}", *command]


def environment(state: Path, *, shard: bool = False) -> dict[str, str]:
    """Variables for processes of one thread, whose ledger is in `state`."""
    own = {"XDG_STATE_HOME": str(state), "GRADUS_SHARD": str(int(shard))}
    return {**os.environ, **own, "GRADUS_THREADS": "1", "OMP_NUM_THREADS": "1"}


def finished(
    command: list[str], environment: dict[str, str], *, cwd: Path | None = None, code: int = 0
) -> str:
    """Standard output of a command that ends with `code`.

    Raises:
        RuntimeError: it ended with another; the message holds the end of what it said.
    """
    done = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != code:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr[-4000:]}")
    return done.stdout
