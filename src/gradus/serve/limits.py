"""What a server lets in, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one server.

    Attributes:
        queue: requests that are admitted and not yet answered; more are refused with 429.
        body_bytes: of a request's body; a longer one is refused with 413.
        body_seconds: within which a body must have arrived, else 408.
        texts: in one request, else 422.
        characters: of one text, else 422.
        seconds: from admission to the answer, else 504.
        writing_seconds: the same for a language model's texts, which take longer.
        stuck_seconds: a worker that computes one batch for longer is killed and replaced.
        batch_tokens: about so many tokens are computed at a time (estimated from bytes).
        batch_texts: at most so many texts are computed at a time.
        linger_ms: a batch that isn't full waits so long for more; 0 takes what is there.
        head_bytes: of a request's head; with a longer one the connection ends.
        head_seconds: within which a head must have come since the connection was made, or since the
            first byte that came behind another request.
        unread_seconds: a client that takes nothing of its answer for longer is cut off.
        connections: at a time, as far as files may be open.
        drain_seconds: after SIGTERM, how long new connections are still taken.
        finish_seconds: after that, how long answers may take.
    """

    queue: int = 256
    body_bytes: int = 4 << 20
    body_seconds: float = 10.0
    texts: int = 256
    characters: int = 100_000
    seconds: float = 30.0
    writing_seconds: float = 600.0
    stuck_seconds: float = 120.0
    batch_tokens: int = 8192
    batch_texts: int = 256
    linger_ms: float = 0.0
    head_bytes: int = 1 << 16
    head_seconds: float = 10.0
    unread_seconds: float = 30.0
    connections: int = 1024
    drain_seconds: float = 1.0
    finish_seconds: float = 30.0
