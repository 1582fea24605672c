"""What is said of the machine, without a word on how fast it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradus import hardware


def test_threads_are_asked_for_or_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADUS_THREADS", "3")
    assert hardware.threads() == 3
    for useless in ("", "0", "-1", "many"):
        monkeypatch.setenv("GRADUS_THREADS", useless)
        assert hardware.threads() == len(os.sched_getaffinity(0))


def test_the_description_is_json_and_complete() -> None:
    facts = json.loads(json.dumps(hardware.describe(measured=False)))
    assert facts["gradus"] == hardware.version("gradus-lm")
    assert facts["dtype"] in ("bfloat16", "float32")
    assert (facts["dtype"] == "bfloat16") == hardware.fast_bfloat16()
    assert set(facts["features"]) <= set(hardware._NAMED_FEATURES)
    assert "ceilings" not in facts
    assert hardware.version("no-such-distribution") is None


def test_ceilings_are_positive_and_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = hardware.measure_ceilings

    def small() -> dict[str, object]:
        calls.append(1)
        return real(size=64, repeats=1)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GRADUS_THREADS", "2")
    monkeypatch.setattr(hardware, "measure_ceilings", small)
    first = hardware.ceilings()
    rates = first["matmul_gflops"]
    assert set(rates) == {"float32", "bfloat16", "int8"}
    assert all(rate is None or rate >= 0 for rate in rates.values())
    assert first["bandwidth_gb_s"] > 0
    assert hardware.ceilings() == first
    assert len(calls) == 1
    monkeypatch.setenv("GRADUS_THREADS", "1")
    hardware.ceilings()
    assert len(calls) == 2
    (tmp_path / "gradus" / "ceilings.json").write_text('{"cut sho', encoding="utf-8")
    assert hardware.ceilings()["bandwidth_gb_s"] > 0
    assert len(calls) == 3


def test_a_share_of_the_ceiling() -> None:
    facts = {"ceilings": {"matmul_gflops": {"float32": 200.0, "int8": None}}}
    assert hardware.ceiling_share(5e10, "float32", facts) == pytest.approx(0.25)
    assert hardware.ceiling_share(5e10, "int8", facts) is None
    assert hardware.ceiling_share(5e10, "bfloat16", facts) is None
    assert hardware.ceiling_share(5e10, "float32", {}) is None


HOLDING = """
from gradus import hardware

def held(size):
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])

hardware.reset_peak_memory()
print(hardware.peak_memory_mb())
held(64_000_000)
print(hardware.peak_memory_mb())
hardware.reset_peak_memory()
print(hardware.peak_memory_mb())
"""


def test_peak_memory_sees_what_was_held_since_the_reset() -> None:
    # In a process of its own: beside other tests the peak may lie far above what is held now, and
    # not every kernel lets it be reset.
    done = subprocess.run(
        [sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True
    )
    before, during, after = (float(line) for line in done.stdout.split())
    # What was given back still counts; the kernel's counters lag by some pages.
    assert during >= before + 50
    assert after <= during


FAULTING = """
import resource, sys
from gradus import hardware

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def use():
    before = faults()
    block = bytearray(100_000_000)
    block[::4096] = bytes(len(block[::4096]))
    return faults() - before

use()
usual = use()
with hardware.kept_memory() as kept:
    use()
    again = use()
    held = resident()
afterwards = use()
print(int(kept), usual, again, afterwards, held, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_memory_is_kept_for_a_while_and_then_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTING], capture_output=True, text=True, check=True
    )
    kept, usual, again, afterwards, held, left = map(int, done.stdout.split())
    # Pages may be huge ones; kept memory needs none of either size.
    assert again < usual / 10 if kept else again == usual
    assert afterwards > usual / 2
    assert left < held - 90_000_000 if kept else left <= held
