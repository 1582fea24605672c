"""What an audit measures, by name: light enough for `gradus check`."""

from __future__ import annotations

from typing import Final

from gradus.data.facts import MEASUREMENTS

AUDIT_MEASUREMENTS: Final = (
    "near_duplicate_rate",
    "near_conflict_rate",
    "empty_rate",
    "cut_rate",
    "label_drift",
    "label_drift_p",
    "length_drift",
    "length_drift_p",
    "adversarial_auroc",
)
"""The names that a gate under ``data.NAME.gates`` may use, unless the audit is left out."""

GATED: Final = (*MEASUREMENTS, *AUDIT_MEASUREMENTS)
"""All names that such a gate may use."""
