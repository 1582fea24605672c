"""What this machine can do: processor features, threads, and the two ceilings of speed.

Detected, never assumed. The ceilings are measured once for each processor, thread count and torch
version, and kept in the user's cache folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

_NAMED_FEATURES: Final = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
    "sve",
)
# mallopt's parameters, by their numbers in glibc's malloc.h, and its defaults; the thresholds are
# those that glibc itself arrives at when large blocks come and go.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_KEEPING: Final = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 256 << 20))
_USUAL: Final = (
    (_MMAP_MAX, 65536),
    (_TRIM_THRESHOLD, 64 << 20),
    (_TOP_PAD, 128 << 10),
    (_MMAP_THRESHOLD, 32 << 20),
)
_FAST_BF16: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/gradus``, by default ``~/.cache/gradus``; not created here."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradus"


def threads() -> int:
    """Threads to compute with: ``GRADUS_THREADS``, else the cores this process may use."""
    asked = os.environ.get("GRADUS_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def processor() -> tuple[str, tuple[str, ...]]:
    """The processor's name and those of its features that matter to matrix products."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), ()
    name, flags = platform.machine(), set[str]()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
        elif key.strip() in ("flags", "Features"):
            flags = set(value.split())
    return name, tuple(f for f in _NAMED_FEATURES if f in flags)


def fast_bfloat16() -> bool:
    """Whether bfloat16 matrix products are faster than float32 ones on this machine."""
    if _FAST_BF16 & set(processor()[1]):
        return True
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def training_dtype() -> str:
    """``bfloat16`` where the machine is fast at it, else ``float32``; ``GRADUS_DTYPE`` wins."""
    return os.environ.get("GRADUS_DTYPE") or ("bfloat16" if fast_bfloat16() else "float32")


def version(distribution: str) -> str | None:
    """The installed version of a distribution without importing it; None when it isn't there."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def describe(*, measured: bool = True) -> dict[str, Any]:
    """Versions, processor, threads and, when `measured`, the ceilings; plain JSON."""
    name, features = processor()
    facts: dict[str, Any] = {
        "gradus": version("gradus-lm"),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "platform": platform.platform(),
        "processor": name,
        "cores": os.cpu_count() or 1,
        "threads": threads(),
        "features": list(features),
        "dtype": training_dtype(),
    }
    if measured:
        facts["ceilings"] = ceilings()
    return facts


@contextmanager
def kept_memory() -> Iterator[bool]:
    """Have this process keep the memory that it frees, where that is up to the C library (glibc).

    By default every large block is fetched from the system anew and zeroed page by page, which
    training would pay for at every update. Afterwards blocks come from the system again, and what
    is free goes back to it. Source: glibc's manual, "Malloc Tunable Parameters" (mallopt). Gives
    whether it was done.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (OSError, AttributeError, TypeError):
        yield False
        return
    try:
        yield all(mallopt(name, value) == 1 for name, value in _KEEPING)
    finally:
        for name, value in _USUAL:
            mallopt(name, value)
        trim(0)


def ceilings() -> dict[str, Any]:
    """``{"matmul_gflops": {dtype: rate}, "bandwidth_gb_s": rate}``, from the cache if there."""
    key = f"{processor()[0]}|{threads()}|{version('torch')}"
    path = cache_folder() / "ceilings.json"
    known: dict[str, Any] = {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        known = {}  # no cache yet, or one cut short: measured again and written anew
    if key not in known:
        known[key] = measure_ceilings()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
        partial.replace(path)
    return dict(known[key])


def measure_ceilings(size: int = 2048, repeats: int = 5) -> dict[str, Any]:
    """Measure the matrix-product rate in each dtype and the memory bandwidth.

    A product of two ``size x size`` matrices is ``2 * size**3`` operations; the median of
    `repeats` counts. int8 is None where torch has no integer product for this processor.
    Bandwidth is that of a copy of 256 MiB, reads and writes added.
    """
    import torch

    torch.set_num_threads(threads())

    def rate(dtype: torch.dtype) -> float:
        left = torch.randn(size, size).to(dtype)
        right = torch.randn(size, size).to(dtype)
        return 2 * size**3 / _median_seconds(lambda: left @ right, repeats) / 1e9

    source = torch.empty(64 * 1024 * 1024, dtype=torch.float32).fill_(1.0)
    target = torch.empty_like(source)
    copy = _median_seconds(lambda: target.copy_(source), repeats)
    return {
        "matmul_gflops": {
            "float32": round(rate(torch.float32), 1),
            "bfloat16": round(rate(torch.bfloat16), 1),
            "int8": _int8_rate(size, repeats),
        },
        "bandwidth_gb_s": round(2 * source.numel() * 4 / copy / 1e9, 1),
    }


def _int8_rate(size: int, repeats: int) -> float | None:
    import torch

    left = torch.randint(-127, 127, (size, size), dtype=torch.int8)
    right = torch.randint(-127, 127, (size, size), dtype=torch.int8)
    try:
        seconds = _median_seconds(lambda: torch._int_mm(left, right), repeats)
    except (RuntimeError, NotImplementedError):
        return None  # torch says so itself where it has no such kernel
    return round(2 * size**3 / seconds / 1e9, 1)


def _median_seconds(work: Callable[[], object], repeats: int) -> float:
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def reset_peak_memory() -> None:
    """Let `peak_memory_mb` count from now on, where the system can (Linux: proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # elsewhere the peak is that of the whole process


def peak_memory_mb() -> float:
    """Peak resident memory of this process since the last reset, in 10^6 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def ceiling_share(flops_per_second: float, dtype: str, facts: Mapping[str, Any]) -> float | None:
    """Share of the machine's matrix-product rate that `flops_per_second` is; None if unknown."""
    rate = facts.get("ceilings", {}).get("matmul_gflops", {}).get(dtype)
    return flops_per_second / (rate * 1e9) if rate else None
