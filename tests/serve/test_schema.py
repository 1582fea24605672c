"""The OpenAPI document is true, and nothing that is made from it breaks the server."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from .servers import Running

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


def ask(running: Running, examples: int, *, malformed: bool) -> Counter[tuple[str, int]]:
    """What comes back for so many examples in all; everything is as the document says."""
    host, port = running.address
    base = f"http://{host}:{port}"
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    mode = schemathesis.GenerationMode
    seen: Counter[tuple[str, int]] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    # Without a body or parameters there is nothing to get wrong.
    chosen = [o for o in operations if not malformed or o.body]
    strategies = [
        o.as_strategy(generation_mode=mode.NEGATIVE if malformed else mode.POSITIVE) for o in chosen
    ]

    with requests.Session() as session:

        @seed(13)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies))
        def check(case: Any) -> None:
            response = case.call(base_url=base, session=session)
            seen[case.operation.label, response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        check()
    return seen


def test_what_the_document_allows_is_answered(server: Running) -> None:
    seen = ask(server, 60, malformed=False)
    assert seen["POST /v1/classify", 200] > 0
    assert {status for name, status in seen if name == "POST /v1/classify"} == {200}
    assert all(status < 500 for _, status in seen)


def test_what_is_malformed_is_refused(server: Running) -> None:
    seen = ask(server, 100, malformed=True)
    assert sum(seen.values()) >= 100
    assert all(status < 500 for _, status in seen)


@pytest.mark.slow
def test_ten_thousand_malformed_requests(server: Running) -> None:
    seen = ask(server, 10_000, malformed=True)
    assert sum(seen.values()) >= 10_000
    assert all(status < 500 for _, status in seen), seen
    assert server.classify("hello").status == 200
    assert server.plain == []
