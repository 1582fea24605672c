"""The one file that imports Optuna: proposals, the storage of trials, importance.

The storage is the only truth of a search. A trial is written there whole, with its values, before
it begins, and what becomes of it is added; a killed search reads that and goes on. Proposals are
made on a copy in memory that holds what the storage says, by a sampler that is made anew for each
of them and seeded by the search's seed and the trial's number: so the next proposal follows from
the trials so far, whoever asks and however often it was killed. CMA-ES keeps a state of its own,
which is never stored (it would be a pickle): it is found again by repeating the proposals.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from gradus.errors import GradusError, MissingExtra, ServiceError, UsageError
from gradus.tuning.halving import State, Trial
from gradus.tuning.space import Space, grid

SAMPLERS: Final = ("tpe", "grid", "random", "cma-es", "gp")
_FACTS: Final = "facts"


def require() -> Any:
    """The package.

    Raises:
        MissingExtra: it isn't installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra("optuna", "tune", "step tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def version() -> str:
    """Of the package; part of what a search rests on, since another one proposes otherwise."""
    return str(require().__version__)


def seed_of(seed: int, number: int) -> int:
    """The seed of a trial's proposal, below 2**31."""
    return int(hashlib.sha256(f"{seed}:{number}".encode()).hexdigest()[:8], 16) % 2**31


@dataclass(frozen=True, slots=True)
class Proposer:
    """Proposes the values of the next trial.

    Attributes:
        spaces: what is searched.
        sampler: one of `SAMPLERS`.
        seed: of the search.
        higher: by objective, whether more is better.
        startup: how many trials are drawn at random before a model of them proposes.
        points: of a grid, values of each space that isn't a choice.
    """

    spaces: Sequence[Space]
    sampler: str
    seed: int
    higher: Sequence[bool]
    startup: int = 10
    points: int = 4

    def propose(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Values by the spaces' names, for the trial after `trials`."""
        number = len(trials)
        if self.sampler == "grid":
            cells = grid(self.spaces, self.points)
            cell = cells[number % len(cells)]
            return {space.name: cell[space.place] for space in self.spaces}
        with _quietly():
            study = self._copy(trials)
            study.sampler = self._sampler(number)
            asked = study.ask(self._distributions())
        return {space.name: self._value(space, asked.params[space.name]) for space in self.spaces}

    def _distributions(self) -> dict[str, Any]:
        return {space.name: distribution(space) for space in self.spaces}

    def _value(self, space: Space, value: Any) -> Any:
        if space.kind == "choice":
            return space.choices[space.labels().index(value)]
        return int(value) if space.kind == "int" else float(value)

    def _copy(self, trials: Sequence[Trial]) -> Any:
        """A study in memory that holds what is known of the trials."""
        optuna = require()
        directions = ["maximize" if higher else "minimize" for higher in self.higher]
        study = optuna.create_study(directions=directions)
        if self.sampler == "cma-es":
            self._repeat(study, trials)
        else:
            for trial in trials:
                study.add_trial(self._frozen(trial))
        return study

    def _repeat(self, study: Any, trials: Sequence[Trial]) -> None:
        """Ask for every trial again, which builds up the sampler's own state."""
        states = require().trial.TrialState
        for trial in trials:
            study.sampler = self._sampler(trial.number)
            asked = study.ask(self._distributions())
            made = {s.name: self._value(s, asked.params[s.name]) for s in self.spaces}
            if made != dict(trial.params):
                raise GradusError(
                    f"{trial.name}: cma-es proposes {made} where the storage has "
                    f"{dict(trial.params)}: begin the search anew with --fresh"
                )
            if trial.state == "done":
                study.tell(asked, list(trial.values))
            else:
                study.tell(asked, state=states.FAIL)

    def _frozen(self, trial: Trial) -> Any:
        """A trial as Optuna has it: one that rests at a rung counts by its score there."""
        optuna = require()
        states = optuna.trial.TrialState
        state = {"done": states.COMPLETE, "failed": states.FAIL}.get(trial.state, states.PRUNED)
        rungs = dict(trial.rungs) if len(self.higher) == 1 else {}
        if trial.state == "running" and not rungs:
            state = states.FAIL
        return optuna.trial.create_trial(
            state=state,
            values=list(trial.values) if trial.state == "done" else None,
            params=encoded(self.spaces, trial.params),
            distributions=self._distributions(),
            intermediate_values=rungs,
        )

    def _sampler(self, number: int) -> Any:
        samplers, seed = require().samplers, seed_of(self.seed, number)
        if self.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self.sampler == "cma-es":
            own = {"warn_independent_sampling": False}
            return samplers.CmaEsSampler(n_startup_trials=1, seed=seed, **own)
        if self.sampler == "gp":
            return samplers.GPSampler(n_startup_trials=self.startup, seed=seed)
        return samplers.TPESampler(n_startup_trials=self.startup, multivariate=True, seed=seed)


def distribution(space: Space) -> Any:
    """The space as Optuna has it; choices go by their labels."""
    of = require().distributions
    if space.kind == "choice":
        return of.CategoricalDistribution(space.labels())
    if space.kind == "int":
        # The last value that a step reaches, so that Optuna needn't move the end.
        return of.IntDistribution(int(space.low), space.last, log=space.log, step=space.step)
    return of.FloatDistribution(space.low, space.high, log=space.kind == "log")


def encoded(spaces: Sequence[Space], params: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name as Optuna has them."""
    found = {}
    for space in spaces:
        value = params[space.name]
        if space.kind == "choice":
            value = space.labels()[space.choices.index(value)]
        found[space.name] = value
    return found


@dataclass
class Storage:
    """Trials of one search in a database.

    Attributes:
        url: of SQLAlchemy, ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.
        name: of the study there.
        spaces: what is searched.
        higher: by objective, whether more is better.
    """

    url: str
    name: str
    spaces: Sequence[Space]
    higher: Sequence[bool]
    _study: Any = field(default=None, init=False)

    def open(self) -> None:
        """Connect, and make the study unless it is there.

        Raises:
            ServiceError: the database can't be reached.
            MissingExtra: its driver isn't installed.
        """
        optuna = require()
        directions = ["maximize" if higher else "minimize" for higher in self.higher]
        with self._reached(), _quietly():
            storage = optuna.storages.RDBStorage(address(self.url))
            self._study = optuna.create_study(
                storage=storage, study_name=self.name, directions=directions, load_if_exists=True
            )

    def trials(self) -> list[Trial]:
        """All of them, in order."""
        with self._reached():
            found = self._study.get_trials(deepcopy=False)
        return [self._trial(one) for one in sorted(found, key=lambda one: one.number)]

    def add(self, params: Mapping[str, Any]) -> None:
        """Write a new trial, whole."""
        optuna = require()
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=encoded(self.spaces, params),
            distributions={space.name: distribution(space) for space in self.spaces},
        )
        with self._reached(), _quietly():
            self._study.add_trial(trial)

    def report(self, trial: Trial, stage: int, score: float, facts: Mapping[str, Any]) -> None:
        """Keep the score at a boundary; facts first, so that a score has its facts."""
        with self._reached():
            one = self._id(trial)
            storage = self._study._storage
            storage.set_trial_user_attr(one, _FACTS, {**trial.facts, **facts})
            storage.set_trial_intermediate_value(one, stage, score)

    def done(self, trial: Trial, values: Sequence[float], facts: Mapping[str, Any]) -> None:
        """Keep the values of a trial that has gone through all stages."""
        self._end(trial, "COMPLETE", values, facts)

    def failed(self, trial: Trial, facts: Mapping[str, Any]) -> None:
        """Keep that a trial couldn't be ended, and why."""
        self._end(trial, "FAIL", None, facts)

    def _end(
        self, trial: Trial, state: str, values: Sequence[float] | None, facts: Mapping[str, Any]
    ) -> None:
        states = require().trial.TrialState
        with self._reached():
            storage, one = self._study._storage, self._id(trial)
            storage.set_trial_user_attr(one, _FACTS, {**trial.facts, **facts})
            storage.set_trial_state_values(
                one, state=states[state], values=None if values is None else list(values)
            )

    def _id(self, trial: Trial) -> int:
        found: int = self._study._storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id, trial.number
        )
        return found

    def _trial(self, one: Any) -> Trial:
        states = {"COMPLETE": "done", "FAIL": "failed"}
        state: State = states.get(one.state.name, "running")  # type: ignore[assignment]  # as annotated there
        params = {}
        for space in self.spaces:
            value = one.params[space.name]
            if space.kind == "choice":
                value = space.choices[space.labels().index(value)]
            params[space.name] = int(value) if space.kind == "int" else value
        return Trial(
            number=one.number,
            params=params,
            state=state,
            rungs=dict(sorted(one.intermediate_values.items())),
            values=tuple(one.values) if state == "done" else (),
            facts=one.user_attrs.get(_FACTS, {}),
        )

    @contextmanager
    def _reached(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, require().exceptions.StorageInternalError) as error:
            raise ServiceError(
                f"the storage of trials, {hidden(self.url)}, can't be reached: "
                f"{str(error).splitlines()[0]}. Nothing is lost: run the plan again when it can"
            ) from error


def address(url: str) -> str:
    """The URL with the driver that we ship for it.

    Raises:
        MissingExtra: PostgreSQL without its driver.
        UsageError: it is no URL.
    """
    scheme, colon, rest = url.partition("://")
    if not colon or not rest:
        raise UsageError(
            f"storage '{hidden(url)}' is no URL: write sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/NAME"
        )
    if scheme in ("postgresql", "postgres"):
        try:
            import psycopg  # noqa: F401  # only whether it is there
        except ImportError as error:
            raise MissingExtra("psycopg", "postgres", "a storage in PostgreSQL") from error
        return f"postgresql+psycopg://{rest}"
    return url


def hidden(url: str) -> str:
    """The URL without its password.

    >>> hidden("postgresql://ada:secret@db/tune")
    'postgresql://ada:***@db/tune'
    """
    scheme, colon, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    if not at:
        return url
    return f"{scheme}{colon}{user.partition(':')[0]}:***@{host}"


def importance(
    trials: Sequence[Trial], spaces: Sequence[Space], objective: int, seed: int
) -> dict[str, float]:
    """The share of the variance of an objective that each space explains (fANOVA, Hutter et al.
    2014), by name, the greatest first; empty with fewer than four trials that are done, or where
    all scored alike."""
    optuna = require()
    done = [trial for trial in trials if trial.state == "done"]
    if len(done) < 4 or len({trial.values[objective] for trial in done}) < 2:
        return {}
    study = optuna.create_study()
    for trial in done:
        study.add_trial(
            optuna.trial.create_trial(
                value=trial.values[objective],
                params=encoded(spaces, trial.params),
                distributions={space.name: distribution(space) for space in spaces},
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=64, max_depth=64, seed=seed)
    with _quietly():
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


@contextmanager
def _quietly() -> Iterator[None]:
    """Without Optuna's warnings of what is experimental in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
