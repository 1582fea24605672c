"""The Hub's own Python client; the one file that imports it."""

from __future__ import annotations

from typing import Any

from gradus.errors import MissingExtra


def client(purpose: str) -> Any:
    """The module `huggingface_hub`; `purpose` begins the message where it isn't installed.

    Raises:
        MissingExtra: it isn't.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise MissingExtra("huggingface-hub", "hub", purpose) from error
    return huggingface_hub


def failures(hub: Any) -> tuple[type[Exception], ...]:
    """What its calls raise where names, network or rights are at fault."""
    # HTTPError is the base of its HTTP client's errors, whichever client that version uses.
    return (OSError, ValueError, hub.errors.EntryNotFoundError, hub.errors.HTTPError)


def reason(error: Exception) -> str:
    """What an error of the client says, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
