"""The application: routes on FastAPI, the door around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from gradus.serve import table
from gradus.serve.access import Access
from gradus.serve.door import App, Door
from gradus.serve.framework import (
    FastAPI,
    HTTPException,
    JSONResponse,
    Request,
    RequestValidationError,
)
from gradus.serve.logs import Log
from gradus.serve.metrics import Meters
from gradus.serve.reading import document
from gradus.serve.refusals import Refused, body
from gradus.serve.schemas import Refusal
from gradus.serve.service import Service
from gradus.serve.straight import Handler, Straight

Decorator = Callable[[Handler], Handler]


@dataclass(frozen=True, slots=True)
class Api:
    """What a module of routes is given.

    Attributes:
        app: the FastAPI application; ``app.get``, ``app.post`` as usual.
        service: takes the work.
        meters: what is measured.
        admits: whether the request of a scope may do what admins do.
        models: of the bodies that routes read by themselves, for the OpenAPI document.
        direct: the functions of these routes by path.
    """

    app: FastAPI
    service: Service
    meters: Meters
    admits: Callable[[Mapping[str, Any]], bool]
    models: list[type[BaseModel]] = field(default_factory=list)
    direct: dict[str, Handler] = field(default_factory=dict)

    def post(self, path: str, model: type[Any], returns: type[Any], **more: Any) -> Decorator:
        """A decorator: a POST route that reads `model` by `gradus.serve.reading.read`.

        Its function takes the request alone, and is called without a detour: FastAPI's routing,
        dependencies and layers would take two thirds of the server's time. The document shows
        `model`, `returns` and the refusals that every route may give.
        """
        self.models.append(model)
        listed: Decorator = self.app.post(
            path,
            response_model=None,
            openapi_extra=document(model),
            responses={200: {"model": returns}, **refusals()},
            **more,
        )

        def both(handler: Handler) -> Handler:
            self.direct[path] = handler
            return listed(handler)

        return both


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For ``responses`` of a route: what it may refuse with."""
    known = {
        400: "The body is no JSON.",
        401: "No key, or a wrong one.",
        403: "This key may not do that.",
        404: "No such model is served here.",
        408: "The body didn't arrive in time.",
        409: "The checkpoint that is served can't do this.",
        413: "The body is too long.",
        415: "The body isn't said to be JSON.",
        422: "The body isn't what is asked for.",
        429: "Too many requests are waiting; Retry-After says when to come again.",
        503: "No worker can take it now; Retry-After says when to come again.",
        504: "No answer in time.",
    }
    chosen = statuses or tuple(known)
    return {status: {"model": Refusal, "description": known[status]} for status in chosen}


def application(service: Service, *, access: Access | None = None, log: Log | None = None) -> App:
    """The whole application, as ASGI has it.

    Args:
        service: is opened and closed by whoever runs the application.
        access: who may do what; anybody everything by default.
        log: takes a line for every request; none by default.

    Raises:
        MissingExtra: FastAPI isn't installed.
    """
    from importlib.metadata import version

    access = access or Access()
    app = FastAPI(
        title="Gradus",
        version=version("gradus-lm"),
        description="What a checkpoint says about texts.",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            Refused: _refused,
            HTTPException: _http,
            RequestValidationError: _invalid,
            Exception: _broken,
        },
    )
    meters = Meters(service)
    api = Api(app, service, meters, access.admin)
    for target in table.ROUTES.values():
        table.find(target)(api)
    _truthful(api)
    straight = Straight(app, api.direct, log)
    return Door(straight, service, access=access, meters=meters, log=log)


def _truthful(api: Api) -> None:
    """Let the OpenAPI document hold the models that routes read by themselves."""
    original = api.app.openapi

    def openapi() -> dict[str, Any]:
        made = original()
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        for model in api.models:
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        return made

    api.app.openapi = openapi  # type: ignore[method-assign]


def _refusal(status: int, message: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(body(status, message), status, headers=headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    return _refusal(error.status, error.message, error.headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _refusal(error.status_code, str(error.detail), error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5]]
    return _refusal(422, "; ".join(said))


async def _broken(request: Request, error: Exception) -> JSONResponse:
    return _refusal(500, "the server failed; its log says where")
