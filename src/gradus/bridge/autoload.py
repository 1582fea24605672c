"""How ``lm_eval --model gradus`` finds us.

The harness reads no entry points: a model outside its own package is known to it once something has
registered it. What its command line imports in any case is torch, which at the end of its own
import calls the entry points of the group ``torch.backends``; ours registers the model where the
harness is being started, and does nothing anywhere else. ``TORCH_DEVICE_BACKEND_AUTOLOAD=0``
switches that off. Standard library only: this runs whenever torch is imported.
"""

from __future__ import annotations

import sys

NAME = "gradus"
MODEL = "gradus.bridge.lm_eval:GradusLM"


def on_torch() -> None:
    """Make the model known if the harness's own registry is there to take it."""
    if "lm_eval.api.registry" in sys.modules:
        make_known()


def make_known() -> None:
    """Register the model with the harness, by name; its code is imported when it is used."""
    import lm_eval.models  # noqa: F401  # registers the harness's own, which it does only if first
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target=MODEL)
