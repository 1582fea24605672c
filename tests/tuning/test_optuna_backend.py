"""Proposals and storage: deterministic, against a known optimum, in SQLite and PostgreSQL."""

from __future__ import annotations

import math
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import MissingExtra, ServiceError, UsageError
from gradus.tuning import optuna_backend
from gradus.tuning.halving import Trial
from gradus.tuning.optuna_backend import Proposer, Storage, address, hidden, importance
from gradus.tuning.space import Space

SPACES = [
    Space(("lr",), "log", 1e-5, 1e-1),
    Space(("dropout",), "uniform", 0, 0.5),
    Space(("batch",), "int", 8, 64, step=8),
    Space(("stages",), "choice", choices=([{"train": "head"}], [{"train": "all"}])),
]


def bowl(params: dict[str, Any]) -> float:
    """1 at lr 1e-3, dropout 0.1, batch 32 and the second choice; less elsewhere."""
    far = (math.log10(params["lr"]) + 3) ** 2 / 4 + 10 * (params["dropout"] - 0.1) ** 2
    far += ((params["batch"] - 32) / 32) ** 2 + 0.3 * (params["stages"][0]["train"] != "all")
    return 1 - far


def search(proposer: Proposer, count: int, value: Any = bowl) -> list[Trial]:
    trials: list[Trial] = []
    for number in range(count):
        params = proposer.propose(trials)
        trials.append(Trial(number, params, "done", values=(value(params),)))
    return trials


GP = pytest.param("gp", marks=pytest.mark.slow)


@pytest.mark.parametrize("sampler", ["tpe", "random", "cma-es", GP])
def test_the_next_proposal_follows_from_the_trials_alone(sampler: str) -> None:
    proposer = Proposer(SPACES, sampler, 3, (True,), startup=3)
    trials = search(proposer, 7)
    for number in (0, 1, 4, 6):
        again = Proposer(SPACES, sampler, 3, (True,), startup=3).propose(trials[:number])
        assert again == trials[number].params
    assert Proposer(SPACES, sampler, 4, (True,), startup=3).propose([]) != trials[0].params


def test_values_are_within_their_spaces() -> None:
    for trial in search(Proposer(SPACES, "random", 1, (True,)), 30):
        assert 1e-5 <= trial.params["lr"] <= 1e-1
        assert trial.params["batch"] in range(8, 65, 8)
        assert isinstance(trial.params["batch"], int)
        assert trial.params["stages"] in SPACES[3].choices


@pytest.mark.parametrize("sampler", ["tpe", "cma-es", GP])
def test_a_model_of_the_trials_finds_a_known_optimum_sooner_than_chance(sampler: str) -> None:
    numeric = SPACES[:2]

    def value(params: dict[str, Any]) -> float:
        return bowl({**params, "batch": 32, "stages": [{"train": "all"}]})

    def regret(name: str, seed: int) -> float:
        found = search(Proposer(numeric, name, seed, (True,), startup=5), 25, value)
        return 1 - max(trial.values[0] for trial in found)

    seeds = range(3)
    ours = np.median([regret(sampler, seed) for seed in seeds])
    chance = np.median([regret("random", seed) for seed in seeds])
    assert ours < 0.5 * chance
    assert ours < 0.02


def test_a_grid_is_gone_through_once_in_its_order() -> None:
    proposer = Proposer(SPACES, "grid", 0, (True,), points=2)
    trials = search(proposer, 16)
    params = [tuple(map(str, trial.params.values())) for trial in trials]
    assert len(set(params)) == 16
    assert trials[0].params == {
        "lr": 1e-5,
        "dropout": 0,
        "batch": 8,
        "stages": [{"train": "head"}],
    }


def test_a_trial_that_rests_teaches_tpe_by_its_score() -> None:
    resting = [
        Trial(n, {"lr": 10**-p, "dropout": 0.1}, rungs={1: 1 - abs(p - 3) / 4})
        for n, p in enumerate((1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 4.9))
    ]
    near = [
        abs(
            math.log10(Proposer(SPACES[:2], "tpe", s, (True,), startup=3).propose(resting)["lr"])
            + 3
        )
        for s in range(8)
    ]
    far = [
        abs(math.log10(Proposer(SPACES[:2], "random", s, (True,)).propose(resting)["lr"]) + 3)
        for s in range(8)
    ]
    assert np.mean(near) < np.mean(far)


def test_importance_finds_what_matters() -> None:
    def value(params: dict[str, Any]) -> float:
        return -abs(math.log10(params["lr"]) + 3)

    trials = search(Proposer(SPACES, "random", 5, (True,)), 40, value)
    shares = importance(trials, SPACES, 0, seed=0)
    assert next(iter(shares)) == "lr"
    assert shares["lr"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(trials[:3], SPACES, 0, seed=0) == {}


def used(storage: Storage) -> list[Trial]:
    """Write a search there, and read it with another connection."""
    storage.open()
    proposer = Proposer(SPACES, "random", 1, (True, False))
    for _ in range(3):
        storage.add(proposer.propose(storage.trials()))
    first, second, third = storage.trials()
    storage.report(first, 1, 0.5, {"tokens": 7})
    storage.report(storage.trials()[0], 1, 0.5, {"tokens": 7})
    storage.report(storage.trials()[0], 2, 0.75, {"tokens": 9})
    storage.done(second, (0.9, 12.5), {"seconds": 1.5})
    storage.failed(third, {"error": "the loss is nan"})
    again = Storage(storage.url, storage.name, SPACES, (True, False))
    again.open()
    return again.trials()


def check(trials: list[Trial]) -> None:
    proposer = Proposer(SPACES, "random", 1, (True, False))
    assert [trial.params for trial in trials] == [proposer.propose(trials[:n]) for n in range(3)]
    assert [trial.state for trial in trials] == ["running", "done", "failed"]
    assert trials[0].rungs == {1: 0.5, 2: 0.75}
    assert trials[0].facts == {"tokens": 9}
    assert trials[1].values == (0.9, 12.5)
    assert trials[2].facts["error"] == "the loss is nan"


def test_sqlite_gives_back_what_was_written(tmp_path: Path) -> None:
    check(used(Storage(f"sqlite:///{tmp_path / 'trials.db'}", "s", SPACES, (True, False))))


def test_addresses() -> None:
    assert address("sqlite:///x.db") == "sqlite:///x.db"
    assert address("postgresql://u:p@h/d") == "postgresql+psycopg://u:p@h/d"
    assert hidden("postgresql://u:p@h:5432/d") == "postgresql://u:***@h:5432/d"
    with pytest.raises(UsageError, match="no URL"):
        address("trials.db")


def test_a_database_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://ada:secret@127.0.0.1:{port}/tune"
    with pytest.raises(ServiceError, match=r"ada:\*\*\*@127.0.0.1") as error:
        Storage(url, "s", SPACES, (True,)).open()
    assert "secret" not in str(error.value)
    with pytest.raises(ServiceError):
        Storage(f"sqlite:///{tmp_path}/none/trials.db", "s", SPACES, (True,)).open()


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"gradus-lm\[tune\]"):
        optuna_backend.require()


@pytest.fixture
def postgres() -> Iterator[str]:
    """A server of its own on a free port, under another user where this one is root."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        pytest.skip("no PostgreSQL server here")
    user: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        if user:
            shutil.chown(place, "nobody")
        make = ["initdb", "-D", f"{place}/db", "-U", "ada", "-A", "trust", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd=place, **user)
        options = ["-p", str(port), "-k", place, "-c", "listen_addresses=127.0.0.1", "-F"]
        server = subprocess.Popen(
            ["postgres", "-D", f"{place}/db", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=place,
            **user,
        )
        try:
            for _ in range(300):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            time.sleep(1)
            yield f"postgresql://ada@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # a fast end: clients may still be connected
            server.wait(timeout=60)


@pytest.mark.slow
def test_postgresql_gives_back_what_was_written(postgres: str) -> None:
    check(used(Storage(postgres, "s", SPACES, (True, False))))
