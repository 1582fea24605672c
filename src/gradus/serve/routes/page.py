"""``GET /``: a page to try the model in the browser, and the reference of the API."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gradus.serve.app import Api
from gradus.serve.framework import Response

FOLDER: Final = Path(__file__).parents[1] / "static"
FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/static/page.css": ("page.css", "text/css; charset=utf-8"),
    "/static/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/static/icon.svg": ("icon.svg", "image/svg+xml"),
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def add(api: Api) -> None:
    """The page and what it loads; it knows nothing of the model until it has asked for it."""
    for path, (name, kind) in FILES.items():
        content = (FOLDER / name).read_bytes()
        api.app.add_api_route(path, _giving(content, kind), include_in_schema=False)


def _giving(content: bytes, kind: str):  # type: ignore[no-untyped-def]
    async def give() -> Response:
        return Response(content, headers=HEADERS | {"content-type": kind})

    return give
