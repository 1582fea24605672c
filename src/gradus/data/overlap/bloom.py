"""A Bloom filter of hashes: a corpus is read once, any benchmark is then looked up in its file.

Bloom 1970, Space/time trade-offs in hash coding with allowable errors. Nothing that was added is
ever missed; what wasn't is found with a probability that the filter's fill says.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from gradus.data.overlap.ngrams import RULE, mix
from gradus.errors import DataError, SourceError, StorageError, UsageError

FORMAT: Final = "gradus-bloom-1"
RATE: Final = 1e-8
"""Upper bound of the false-positive rate, as in Radford et al. 2019, section 4."""

_STRIDE: Final = np.uint64(0xD1B54A32D192ED03)
_AT_ONCE: Final = 1 << 15
_COUNTS: Final = np.array([byte.bit_count() for byte in range(256)], np.uint8)


@dataclass
class Bloom:
    """A Bloom filter of 64-bit hashes.

    Attributes:
        capacity: distinct hashes that it can take in at `rate`.
        rate: probability that a hash which wasn't added is found, once `capacity` were.
        n: words of the n-grams that it is of.
        about: what it was made of; JSON.
        added: hashes added, equal ones too.
        bits: uint8 [B], eight bits each.
    """

    capacity: int
    rate: float = RATE
    n: int = 8
    about: Mapping[str, Any] = field(default_factory=dict)
    added: int = 0
    bits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise UsageError(f"a filter's capacity is at least 1, not {self.capacity}")
        if not 0 < self.rate < 1:
            raise UsageError(f"a false-positive rate lies between 0 and 1, it isn't {self.rate}")
        self.probes = max(1, round(-math.log2(self.rate)))
        # So many bits that (1 - exp(-probes * capacity / bits)) ** probes is the rate.
        each = math.log1p(-(self.rate ** (1 / self.probes)))
        if not len(self.bits):
            self.bits = np.zeros(math.ceil(-self.probes * self.capacity / each / 8), np.uint8)

    @property
    def size(self) -> int:
        """Number of bits."""
        return 8 * len(self.bits)

    def add(self, hashes: np.ndarray) -> None:
        """Add hashes, uint64 [N]."""
        self.added += len(hashes)
        for start in range(0, len(hashes), _AT_ONCE):
            some = hashes[start : start + _AT_ONCE]
            for probe in range(self.probes):
                byte, bit = self._place(some, probe)
                np.bitwise_or.at(self.bits, byte, bit)

    def holds(self, hashes: np.ndarray) -> np.ndarray:
        """bool [N]: which hashes, uint64 [N], were added, or look as if they were."""
        found = np.ones(len(hashes), np.bool_)
        for start in range(0, len(hashes), _AT_ONCE):
            left = np.arange(start, min(start + _AT_ONCE, len(hashes)))
            for probe in range(self.probes):
                byte, bit = self._place(hashes[left], probe)
                there = (self.bits[byte] & bit) != 0
                found[left[~there]] = False
                left = left[there]
        return found

    def _place(self, hashes: np.ndarray, probe: int) -> tuple[np.ndarray, np.ndarray]:
        """The byte and the bit in it of one of the probes: each is a hash of its own."""
        step = np.uint64((probe + 1) * int(_STRIDE) % 2**64)
        at = mix(hashes + step) % np.uint64(self.size)
        bit = np.left_shift(np.uint8(1), (at & np.uint64(7)).astype(np.uint8))
        return (at >> np.uint64(3)).astype(np.int64), bit

    @property
    def fill(self) -> float:
        """Share of the bits that are set."""
        count = sum(
            int(_COUNTS[self.bits[start : start + (1 << 20)]].sum(dtype=np.int64))
            for start in range(0, len(self.bits), 1 << 20)
        )
        return count / self.size

    @property
    def false_positive_rate(self) -> float:
        """Probability that a hash which wasn't added is found, as the filter stands now."""
        return float(self.fill**self.probes)

    @property
    def distinct(self) -> int:
        """Estimate of how many distinct hashes were added (Swamidass and Baldi 2007)."""
        fill = self.fill
        if fill >= 1:
            return self.added
        return min(self.added, round(-self.size / self.probes * math.log1p(-fill)))

    def save(self, path: Path) -> None:
        """Write the filter to a safetensors file; the file is whole or not there.

        Raises:
            StorageError: it can't be written.
        """
        from safetensors.numpy import save_file

        header = {
            "format": FORMAT,
            "rule": RULE,
            "capacity": self.capacity,
            "rate": self.rate,
            "n": self.n,
            "added": self.added,
            "about": dict(self.about),
        }
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({"bits": self.bits}, partial, metadata={"filter": json.dumps(header)})
            partial.replace(path)
        except OSError as error:
            raise StorageError(f"{path}: can't be written ({error.strerror or error})") from error
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Bloom:
        """The filter of a file.

        Raises:
            SourceError: there is no such file.
            DataError: it holds no filter, a damaged one, or one of other words.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise SourceError(f"{path}: no such file; name a corpus with --corpus to make it")
        try:
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {})["filter"])
                bits = file.get_tensor("bits")
            rule = header["format"], header["rule"]
            made = cls(
                capacity=int(header["capacity"]),
                rate=float(header["rate"]),
                n=int(header["n"]),
                about=dict(header["about"]),
                added=int(header["added"]),
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"isn't a filter of n-grams, or is damaged ({error})", file=path
            ) from error
        if rule != (FORMAT, RULE):
            raise DataError(
                f"was made by another rule ({', '.join(map(str, rule))}; this is {FORMAT}, "
                f"{RULE}): make it again from its corpus",
                file=path,
            )
        if bits.dtype != np.uint8 or bits.shape != made.bits.shape:
            raise DataError("its bits don't fit its capacity: make it again", file=path)
        made.bits = bits
        return made
