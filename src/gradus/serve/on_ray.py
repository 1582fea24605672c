"""A deployment on Ray Serve; the one file that imports ray.

::

    serve run gradus.serve.on_ray:app checkpoint=models/news threads=2

Ray places replicas, restarts those that die and shares requests among them; inside each replica
runs the same application as under ``gradus serve``, with its queue, its limits and its worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from gradus.errors import MissingExtra, UsageError
from gradus.serve.living import Living, Settings

NAME = "gradus"


class RaySettings(Settings):
    """`Settings`, and:

    Attributes:
        replicas: copies of the application.
    """

    replicas: int = Field(default=1, ge=1)


def app(args: Mapping[str, Any] | RaySettings) -> Any:
    """The application for ``serve run``, ``serve deploy`` and `ray.serve.run`.

    Args:
        args: the fields of `RaySettings`.

    Raises:
        UsageError: a field is missing, unknown or wrong.
        MissingExtra: ray isn't installed.
    """
    try:
        asked = args if isinstance(args, RaySettings) else RaySettings.model_validate(dict(args))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors())
        raise UsageError(f"the application's arguments: {faults}") from error
    try:
        from ray import serve
    except ImportError as error:
        raise MissingExtra("ray", "ray", "a deployment on Ray Serve") from error
    made = serve.deployment(
        serve.ingress(Living(asked))(),
        name=NAME,
        num_replicas=asked.replicas,
        # Ray lets five in by default; here the queue is bounded inside, and says so with 429.
        max_ongoing_requests=asked.queue + 8,
        ray_actor_options={"num_cpus": asked.workers * asked.threads},
    )
    return made.bind()
