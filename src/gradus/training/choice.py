"""Choosing an entry of the catalog inside a config: by its name, or by name and options.

Imports nothing heavy: a plan is checked with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic import ValidationError as Invalid
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from gradus import registry
from gradus.errors import UnknownName, unknown

_KINDS = frozenset(get_args(core_schema.ErrorType))


class ChoiceConfig(BaseModel):
    """Base of the configs of entries that are chosen by name: unknown keys are faults.

    An entry's own config narrows `name` to a ``Literal`` of its plain and its versioned name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Annotates a field that holds the config of an entry of `section`.

    A plan writes a name (``sgd``), or a mapping of name and options
    (``{name: sgd, momentum: 0.9}``); the value is the entry's validated config, whose name has
    its version. ``Annotated[ChoiceConfig, Choice("optimisers")]``.
    """

    section: str

    def read(self, raw: Any) -> ChoiceConfig:
        """The config that `raw` stands for.

        Raises:
            pydantic.ValidationError: every fault of it, each at its place below `raw`.
        """
        if isinstance(raw, ChoiceConfig):
            return raw
        if not isinstance(raw, str | Mapping):
            kinds = ("string_type", "dict_type")
            raise self._invalid([InitErrorDetails(type=kind, loc=(), input=raw) for kind in kinds])
        options = {"name": raw} if isinstance(raw, str) else dict(raw)
        name = options.get("name")
        if not isinstance(name, str):
            kind = "string_type" if "name" in options else "missing"
            raise self._invalid([InitErrorDetails(type=kind, loc=("name",), input=raw)])
        try:
            options["name"] = registry.resolve(self.section, name)
        except UnknownName as error:
            place = () if isinstance(raw, str) else ("name",)
            raise self._invalid([_told(str(error), place, name)]) from error
        config: type[ChoiceConfig] = registry.load(self.section, options["name"]).Config
        try:
            return config.model_validate(options)
        except Invalid as error:
            details = error.errors(include_url=False)
            raise self._invalid([_again(detail, config, name) for detail in details]) from error

    def _invalid(self, faults: list[InitErrorDetails]) -> Invalid:
        return Invalid.from_exception_data(self.section, faults)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(_dumped)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        versions = registry.names(self.section)
        plain = list(dict.fromkeys(registry.plain(name) for name in versions))
        choices: list[dict[str, Any]] = [{"type": "string", "enum": [*plain, *versions]}]
        for name in versions:
            made = registry.load(self.section, name).Config.model_json_schema()
            choices.append({**made, "title": name, "required": ["name", *made.get("required", [])]})
        return {"anyOf": choices}


def _dumped(config: ChoiceConfig) -> dict[str, Any]:
    return config.model_dump(mode="json")


def _told(message: str, place: tuple[int | str, ...], value: Any) -> InitErrorDetails:
    """A fault in our own words."""
    error = ValueError(message)
    return InitErrorDetails(type="value_error", loc=place, input=value, ctx={"error": error})


def _again(detail: ErrorDetails, config: type[ChoiceConfig], name: str) -> InitErrorDetails:
    """pydantic's fault as it was found; for a key that nobody knows, with the nearest known one."""
    place, value, kind = detail["loc"], detail["input"], detail["type"]
    if kind == "extra_forbidden":
        known = [key for key in config.model_fields if key != "name"]
        return _told(unknown(f"option of {name}", str(place[-1]), known), place, value)
    if kind not in _KINDS:
        own = PydanticCustomError("value_error", "{error}", {"error": detail["msg"]})
        return InitErrorDetails(type=own, loc=place, input=value)
    return InitErrorDetails(type=kind, loc=place, input=value, ctx=detail.get("ctx", {}))
