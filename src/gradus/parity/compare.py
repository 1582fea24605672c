"""Two models' outputs for the same rows, compared in float64.

Legend: m rows (texts, words or tokens), K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from gradus.errors import ContractError
from gradus.parity.base import Bounds, Parity

if TYPE_CHECKING:
    import numpy as np

Outputs = Literal["label", "labels", "number"]
"""What the K outputs of a row say together: one label's distribution, a probability for each of K
labels, or K numbers."""

# Of a vocabulary's logits so many are taken to float64 at a time.
_CELLS: Final = 2**21


@dataclass(slots=True)
class Tally:
    """Differences summed batch by batch, so that a vocabulary's logits need not all be held.

    >>> import numpy as np
    >>> tally = Tally()
    >>> tally.add(np.array([[0.0, 1.0]]), np.array([[5.0, 6.0]]))
    >>> tally.parity("export").max_logit
    0.0
    """

    outputs: Outputs = "label"
    rows: int = 0
    cells: int = 0
    greatest: float = 0.0
    total: float = 0.0
    divergence: float = 0.0
    flipped: int = 0

    def add(self, parent: np.ndarray, child: np.ndarray) -> None:
        """Take in logits [m, K] of both; log-probabilities are logits as well.

        A logit that is minus infinity in both, as a masked one is, differs by nothing; in one
        alone, by infinity.

        Raises:
            ContractError: the two differ in shape.
        """
        if parent.shape != child.shape or parent.ndim != 2:
            raise ContractError(
                f"parity: the parent gave {parent.shape} outputs and the child {child.shape}: "
                "give both the same texts, and compare models with the same labels"
            )
        at_once = max(1, _CELLS // max(1, parent.shape[1]))
        for start in range(0, len(parent), at_once):
            self._add(parent[start : start + at_once], child[start : start + at_once])

    def _add(self, parent: np.ndarray, child: np.ndarray) -> None:
        import numpy as np

        left, right = parent.astype(np.float64), child.astype(np.float64)
        if self.outputs == "label":
            moved = _differences(_centred(left), _centred(right))
        else:
            moved = _differences(left, right)
        self.rows += len(left)
        self.cells += moved.size
        # max() of Python forgets NaN or not by the order of its arguments; this one never does.
        self.greatest = float(np.maximum(self.greatest, moved.max()))
        self.total += float(moved.sum())
        if self.outputs == "number":
            return
        self.divergence += float(_divergences(left, right, self.outputs).sum())
        if self.outputs == "label":
            self.flipped += int((left.argmax(axis=1) != right.argmax(axis=1)).sum())
        else:
            self.flipped += int(((left > 0) != (right > 0)).any(axis=1).sum())

    def parity(self, handoff: str, bounds: Bounds | None = None, *, unit: str = "texts") -> Parity:
        """What has been taken in so far.

        Raises:
            ContractError: nothing has been.
        """
        if not self.rows:
            raise ContractError(f"parity of '{handoff}': no rows to compare")
        said = self.outputs != "number"
        # Of numbers only differences are defined, and so only bounds on them.
        asked = {} if bounds is None else bounds.named()
        held = {name: v for name, v in asked.items() if said or name.endswith("logit")}
        return Parity(
            handoff=handoff,
            rows=self.rows,
            unit=unit,
            max_logit=self.greatest,
            mean_logit=self.total / self.cells,
            kl=self.divergence / self.rows if said else None,
            flips=self.flipped / self.rows if said else None,
            bounds=held,
        )


def compare(
    parent: np.ndarray,
    child: np.ndarray,
    *,
    handoff: str,
    bounds: Bounds | None = None,
    outputs: Outputs = "label",
    unit: str = "texts",
) -> Parity:
    """The parity of logits [m, K]; see `Tally`, which takes them batch by batch.

    Args:
        parent: what the model said before, logits or log-probabilities.
        child: what it says now, of the same rows.
        handoff: what was done: ``export``, ``merge``, ``int8``.
        bounds: what is allowed; none is only reported.
        outputs: with ``labels`` logits must be given, not log-probabilities.
        unit: what a row is: ``texts``, ``words`` or ``tokens``.

    Raises:
        ContractError: the two differ in shape, or there are no rows.
    """
    tally = Tally(outputs)
    tally.add(parent, child)
    return tally.parity(handoff, bounds, unit=unit)


def _centred(rows: np.ndarray) -> np.ndarray:
    """Each row less the mean of what is finite in it."""
    import numpy as np

    finite = np.isfinite(rows)
    count = np.maximum(finite.sum(axis=1, keepdims=True), 1)
    mean = np.where(finite, rows, 0.0).sum(axis=1, keepdims=True) / count
    return np.asarray(rows - mean)


def _differences(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    import numpy as np

    with np.errstate(invalid="ignore"):
        apart = np.abs(left - right)
    return np.asarray(np.where(left == right, 0.0, apart))


def _divergences(left: np.ndarray, right: np.ndarray, outputs: Outputs) -> np.ndarray:
    """KL(parent || child) of each row, in nats; over K labels the sum of their own."""
    import numpy as np
    from scipy.special import log_expit, log_softmax

    if outputs == "labels":
        said = _kl(log_expit(left), log_expit(right)) + _kl(log_expit(-left), log_expit(-right))
    else:
        with np.errstate(invalid="ignore"):
            said = _kl(log_softmax(left, axis=1), log_softmax(right, axis=1))
    # Rounding alone could bring a sum below zero.
    return np.asarray(np.maximum(said, 0.0))


def _kl(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sum of p (ln p - ln q) over a row; what the parent rules out adds nothing."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        terms = np.exp(left) * (left - right)
    return np.asarray(np.where(np.isneginf(left), 0.0, terms).sum(axis=1))
