"""A real server: what it answers, and how it begins and ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .servers import Running, served


def test_a_text_is_labelled(server: Running) -> None:
    reply = server.classify("hello", "world", top_k=2)
    assert reply.status == 200
    assert reply.json["model"] == "floor"
    assert len(reply.json["results"]) == 2
    for result in reply.json["results"]:
        assert result["label"] == "ham"
        assert abs(result["probability"] - 0.75) < 1e-12
        assert [one["label"] for one in result["top"]] == ["ham", "spam"]


def test_it_lives_and_is_ready(server: Running) -> None:
    assert server.get("/healthz").status == 200
    assert server.get("/readyz").status == 200


def test_a_killed_worker_is_replaced(floor: Path) -> None:
    with served(floor) as running:
        pid = running.wait_for("worker-ready")["pid"]
        os.kill(pid, signal.SIGKILL)
        running.wait_for("worker-died")
        # Nothing is refused meanwhile: the request waits for the next worker.
        assert running.classify("hello").status == 200
        assert running.wait_for("worker-ready", 2)["pid"] != pid


def test_prometheus_can_read_what_is_counted(server: Running) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def counted() -> dict[str, float]:
        content = server.get("/metrics").content.decode()
        samples = [s for family in text_string_to_metric_families(content) for s in family.samples]
        assert not any("nowhere" in str(sample.labels) for sample in samples)
        return {
            sample.name: sample.value
            for sample in samples
            if sample.labels.get("route", "/v1/classify") == "/v1/classify"
            and sample.labels.get("status", "200") == "200"
            and "le" not in sample.labels
        }

    before = counted()
    assert server.classify("a", "b", "c").status == 200
    assert server.get("/nowhere").status == 404
    after = counted()
    assert after["gradus_texts_total"] - before["gradus_texts_total"] == 3
    assert after["gradus_batch_texts_count"] - before["gradus_batch_texts_count"] == 1
    assert after["gradus_batch_texts_sum"] - before["gradus_batch_texts_sum"] == 3
    name = "gradus_request_seconds_count"
    assert after[name] - before.get(name, 0) == 1
    assert after["gradus_requests_inside"] == 0


@pytest.mark.slow
def test_it_ends_with_0(floor: Path) -> None:
    with served(floor) as running:
        assert running.classify("hello").status == 200
        pid = running.wait_for("worker-ready")["pid"]
        assert running.stop() == 0
        assert not Path(f"/proc/{pid}").exists()
        assert running.plain == []
