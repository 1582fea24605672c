"""A Dockerfile as its instructions, read by the format's own rules."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction; `stage` counts from 0, -1 before the first FROM."""

    stage: int
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """In the exec form or, without flags, in the shell form."""
        begin = self.text.find("[")
        if begin >= 0 and self.text.rstrip().endswith("]"):
            words: list[str] = json.loads(self.text[begin:])
            return words
        return [word for word in self.text.split() if not word.startswith("--")]

    def flags(self) -> dict[str, str]:
        return dict(re.findall(r"--([a-z-]+)=(\S+)", self.text.partition("[")[0]))


def instructions(path: Path = DOCKERFILE) -> list[Instruction]:
    text = "\n".join(
        line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    stage, found = -1, []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Instruction(stage, name, " ".join(rest.split())))
    return found


def last_stage(name: str) -> list[Instruction]:
    every = instructions()
    return [one for one in every if one.name == name and one.stage == every[-1].stage]


def environment() -> dict[str, str]:
    """What the image's processes get."""
    found: dict[str, str] = {}
    for one in last_stage("ENV"):
        found |= dict(re.findall(r"([A-Z_]+)=(\S+)", one.text))
    return found


def context() -> list[str]:
    """Files and folders that .dockerignore lets into the build."""
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text("utf-8").split()
    assert lines[0] == "*"
    return [line[1:] for line in lines if line.startswith("!")]
