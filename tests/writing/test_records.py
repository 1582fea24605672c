"""Writings and samples: ids, order, what comes back from disk, what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import CheckpointError, DataError, UsageError
from gradus.writing.records import (
    COLUMNS,
    FILE,
    Samples,
    Writing,
    parse_writing,
    read_columns,
    read_samples,
    write_columns,
    write_samples,
)


def writing(writer: str = "base", prompt: str = "Once", text: str = " upon", n: int = 0) -> Writing:
    return Writing.of(writer=writer, prompt=prompt, text=text, number=n, tokens=1)


def some() -> Samples:
    return Samples(
        [
            writing("human", "Two", " three"),
            writing("base", "Once", " upon\n\u2028a \x0b time", 1),
            writing("base", "Once", "", 0),
            writing("base", "Two", " four", 0),
            writing("later", "Once", "从前", 0),
        ]
    )


def test_ids_say_whose_text_to_which_prompt_it_is() -> None:
    one = writing()
    plain = '["base","' + one.prompt_id + '",0," upon"]'
    assert one.id == hashlib.sha256(plain.encode()).hexdigest()[:16]
    assert one.prompt_id == hashlib.sha256(b'["Once"]').hexdigest()[:12]
    assert one.item == f"{one.prompt_id}/0"
    others = [writing("later"), writing(prompt="Two"), writing(text=" a"), writing(n=1)]
    assert len({one.id, *(other.id for other in others)}) == 5


def test_people_come_last_and_all_writers_are_in_one_order() -> None:
    samples = some()
    assert samples.writers == ("base", "later", "human")
    assert [w.number for w in samples.of("base")] == [0, 0, 1]
    order = list(samples.prompts)
    for writer in samples.writers:
        places = [(order.index(w.prompt_id), w.number) for w in samples.of(writer)]
        assert places == sorted(places)


def test_two_texts_to_one_item_are_refused() -> None:
    with pytest.raises(UsageError, match="give each prompt once"):
        Samples([writing(), writing(text=" another")])


def test_a_writer_who_isnt_there() -> None:
    with pytest.raises(UsageError, match="did you mean 'later'"):
        some().of("latr")


def test_samples_come_back(tmp_path: Path) -> None:
    samples = some()
    ref = write_samples(tmp_path / "made", samples, facts={"each": 2})
    again = read_samples(tmp_path / "made")
    assert again.writings == samples.writings
    assert (again.digest, again.writers, again.prompts) == (
        samples.digest,
        samples.writers,
        samples.prompts,
    )
    assert ref.kind == "samples"
    assert Samples(reversed(samples.of("base"))).of("base")[0].text in ("", " four")


@given(st.text(), st.text(min_size=1), st.one_of(st.none(), st.text()), st.booleans())
def test_any_text_survives_a_line(text: str, prompt: str, source: str | None, ended: bool) -> None:
    made = Writing.of(writer="base", prompt=prompt, text=text, source=source, ended=ended)
    assert parse_writing(json.dumps(made.to_json()), Path("samples.jsonl"), 1) == made


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"text": None}, "text", "null, not of type str"),
        ({"number": True}, "number", "true, not of type int"),
        ({"ended": 1}, "ended", "not of type bool"),
        ({"text": " changed"}, "id", "changed after it was written"),
        ({"more": 1}, "more", "isn't a field"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, change: dict[str, object], field: str, said: str
) -> None:
    write_samples(tmp_path / "made", some(), facts={})
    path = tmp_path / "made" / FILE
    lines = path.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), **change})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=said) as raised:
        read_samples(tmp_path / "made")
    assert (raised.value.file, raised.value.line, raised.value.field) == (str(path), 2, field)


def test_a_line_that_lacks_a_field_or_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with pytest.raises(DataError, match="field 'id': is missing"):
        parse_writing("{}", path, 3)
    with pytest.raises(DataError, match="line 3: not a JSON object"):
        parse_writing("[]", path, 3)
    with pytest.raises(DataError, match="line 3: not valid JSON"):
        parse_writing("{", path, 3)


def _write(folder: Path) -> None:
    (folder / "x").write_text("x")


def test_a_checkpoint_of_another_kind(tmp_path: Path) -> None:
    from gradus.checkpoints import save_checkpoint

    save_checkpoint(
        tmp_path / "made",
        kind="tokenizer",
        labels=(),
        preprocessing={},
        parents=(),
        facts={},
        write=_write,
    )
    with pytest.raises(CheckpointError, match="kind 'tokenizer', not samples"):
        read_samples(tmp_path / "made")


def test_columns_come_back(tmp_path: Path) -> None:
    said: dict[str, dict[str, float | None]] = {
        "judge_fluency": {"a": 4.5, "b": None},
        "judge_wins": {"a": 0.0},
    }
    write_columns(tmp_path, said)
    assert read_columns(tmp_path) == said
    with pytest.raises(ValueError, match="isn't finite"):
        write_columns(tmp_path, {"x": {"a": float("nan")}})
    (tmp_path / COLUMNS).write_text('{"x": 3}')
    with pytest.raises(CheckpointError, match="not readable columns"):
        read_columns(tmp_path)
