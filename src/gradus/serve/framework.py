"""FastAPI, uvicorn and the Prometheus client; the one file that imports them."""

from __future__ import annotations

from gradus.errors import MissingExtra

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse, StreamingResponse
    from prometheus_client import (
        CollectorRegistry,
        Counter,
        Gauge,
        Histogram,
        generate_latest,
    )
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
except ImportError as error:
    raise MissingExtra(error.name or "fastapi", "serve", "gradus serve") from error

__all__ = [
    "ClientDisconnect",
    "CollectorRegistry",
    "Counter",
    "FastAPI",
    "Gauge",
    "HTTPException",
    "Histogram",
    "JSONResponse",
    "Request",
    "RequestValidationError",
    "Response",
    "StreamingResponse",
    "generate_latest",
    "uvicorn",
]
