"""FastAPI, uvicorn and the Prometheus client; the one file that imports them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gradus.errors import MissingExtra

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, StreamingResponse
    from prometheus_client import (
        CollectorRegistry,
        Histogram,
        generate_latest,
    )
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from uvicorn.protocols.http.auto import AutoHTTPProtocol
except ImportError as error:
    raise MissingExtra(error.name or "fastapi", "serve", "gradus serve") from error

HttpProtocol: Any = AutoHTTPProtocol
"""How uvicorn speaks HTTP: with httptools where it is installed, else with h11."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in an event loop of its own: uvloop's, where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)


__all__ = [
    "ClientDisconnect",
    "CollectorRegistry",
    "CounterMetricFamily",
    "FastAPI",
    "GaugeMetricFamily",
    "HTTPException",
    "Histogram",
    "HistogramMetricFamily",
    "HttpProtocol",
    "JSONResponse",
    "Metric",
    "Request",
    "RequestValidationError",
    "Response",
    "StreamingResponse",
    "generate_latest",
    "run",
    "uvicorn",
]
