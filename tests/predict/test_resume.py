"""The journal of an output file: whatever is cut off, the same bytes come out in the end."""

from __future__ import annotations

import contextlib
import hashlib
import io
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataChanged, RunBusy, StorageError, UsageError
from gradus.predict import resume
from gradus.predict.entries import Entry, Place
from gradus.predict.readers import TextReader
from gradus.predict.resume import Mark, Output

ABOUT = {
    "options": {"top_k": 1, "task": "classify"},
    "input": {"size": 100},
    "checkpoint": {"digest": "a" * 64},
    "version": {"torch": "2.0"},
    "machine": {"threads": 2},
}
WINDOWS = st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def marked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SECONDS_BETWEEN_MARKS", 0.0)


def place(windows: list[bytes], count: int) -> Place:
    """As if the input were what comes out."""
    read = b"".join(windows[:count])
    return Place(len(read), count, hashlib.sha256(read).hexdigest())


def write(output: Output, windows: list[bytes], until: int) -> None:
    for number in range(output.mark.records, until):
        output.write(windows[number], records=1, bad=number % 2, place=place(windows, number + 1))


def killed(output: Output) -> None:
    """The process is gone, and with it the lock."""
    output._file.close()


@given(windows=WINDOWS, data=st.data(), head=st.sampled_from([0, 7]))
@settings(max_examples=30, deadline=None)
def test_killed_anywhere_the_same_bytes_come_out(
    tmp_path_factory: pytest.TempPathFactory, windows: list[bytes], data: st.DataObject, head: int
) -> None:
    target = tmp_path_factory.mktemp("resume") / "out.jsonl"
    finish = b"h" * head
    for _ in range(data.draw(st.integers(0, 3), "kills")):
        output = Output(target, ABOUT, head=head)
        done = output.mark.records
        write(output, windows, data.draw(st.integers(done, len(windows)), "windows until the kill"))
        torn = data.draw(st.binary(max_size=9), "torn record")
        output._file.write(torn)
        killed(output)
        if output.journal.exists():
            content = output.journal.read_bytes()
            keep = data.draw(st.integers(content.index(b"\n") + 1, len(content)), "journal kept")
            output.journal.write_bytes(content[:keep])
    output = Output(target, ABOUT, head=head)
    assert output.mark.place in [None, *(place(windows, n + 1) for n in range(len(windows)))]
    write(output, windows, len(windows))
    mark = output.mark
    output.finish(finish)
    output.close()
    assert target.read_bytes() == finish + b"".join(windows)
    assert (mark.records, mark.bad) == (len(windows), len(windows) // 2)
    assert [p.name for p in target.parent.iterdir()] == ["out.jsonl"]


@given(windows=WINDOWS, data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_shortened_file_goes_on_from_an_earlier_mark(
    tmp_path_factory: pytest.TempPathFactory, windows: list[bytes], data: st.DataObject
) -> None:
    target = tmp_path_factory.mktemp("resume") / "out.jsonl"
    output = Output(target, ABOUT)
    write(output, windows, len(windows))
    killed(output)
    whole = output.partial.read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    output.partial.write_bytes(whole[:kept])
    output = Output(target, ABOUT)
    sizes = [0, *accumulate(map(len, windows))]
    assert output.mark.size == max(size for size in sizes if size <= kept)
    write(output, windows, len(windows))
    output.finish()
    output.close()
    assert target.read_bytes() == whole


@given(windows=WINDOWS, data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_changed_byte_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, windows: list[bytes], data: st.DataObject
) -> None:
    target = tmp_path_factory.mktemp("resume") / "out.jsonl"
    output = Output(target, ABOUT)
    write(output, windows, len(windows))
    killed(output)
    content = bytearray(output.partial.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    output.partial.write_bytes(content)
    with pytest.raises(DataChanged, match=r"isn't as it was written.*--restart"):
        Output(target, ABOUT)
    assert output.partial.read_bytes() == content
    anew = Output(target, ABOUT, restart=True)
    assert not anew.resumed
    killed(anew)


@given(
    mark=st.builds(
        Mark,
        st.builds(Place, st.integers(0, 2**60), st.integers(0, 2**60), st.text(max_size=8)),
        *[st.integers(0, 2**60)] * 3,
        st.text(max_size=8),
    ),
    data=st.data(),
)
def test_a_mark_is_read_as_it_was_written_or_not_at_all(mark: Mark, data: st.DataObject) -> None:
    line = mark.line()
    assert line.count(b"\n") == 1
    assert Mark.read(line) == mark
    broken = bytearray(line)
    broken[data.draw(st.integers(0, len(line) - 2))] ^= 1 << data.draw(st.integers(0, 6))
    with contextlib.suppress(ValueError):
        assert Mark.read(bytes(broken)) == mark


@pytest.mark.parametrize(
    ("part", "name", "error", "says"),
    [
        ("options", "top_k", UsageError, r"another --top-k: 1, now 9; use that again, or.*restart"),
        ("input", "size", DataChanged, r"another input size: 100, now 9; bring it back, or"),
        ("checkpoint", "digest", DataChanged, r"another checkpoint digest: a+\.\.\.|a+, now 9"),
        ("version", "torch", DataChanged, r"another version torch: 2.0, now 9"),
        ("machine", "threads", DataChanged, r"another machine threads: 2, now 9"),
    ],
)
def test_what_changed_is_named(
    tmp_path: Path, part: str, name: str, error: type[Exception], says: str
) -> None:
    target = tmp_path / "out.jsonl"
    output = Output(target, ABOUT)
    write(output, [b"one\n"], 1)
    killed(output)
    changed = {**ABOUT, part: {**ABOUT[part], name: 9}}
    with pytest.raises(error, match=says):
        Output(target, changed)
    assert Output(target, ABOUT).resumed


def test_a_journal_without_its_records_says_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    output = Output(target, ABOUT)
    write(output, [b"one\n"], 1)
    killed(output)
    output.partial.replace(target)  # as `finish` does, and killed before the journal goes
    again = Output(target, {**ABOUT, "options": {"top_k": 9}})
    assert not again.resumed
    again.close()
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_pipe_keeps_no_journal_and_runs_over_none(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    output = Output(target, None)
    output.write(b"one\n", records=1, bad=0, place=None)
    output.keep()
    output.close()
    assert [p.name for p in tmp_path.iterdir()] == ["out.jsonl.partial"]
    file = Output(target, ABOUT)
    assert not file.resumed
    write(file, [b"one\n"], 1)
    killed(file)
    with pytest.raises(UsageError, match=r"holds 1 records of a file that was interrupted"):
        Output(target, None)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    output = Output(tmp_path / "out.jsonl", ABOUT)
    with pytest.raises(RunBusy, match="another process writes there"):
        Output(tmp_path / "out.jsonl", ABOUT)
    output.close()
    assert list(tmp_path.iterdir()) == []  # nothing good was written


def test_a_journal_of_another_format_is_refused(tmp_path: Path) -> None:
    output = Output(tmp_path / "out.jsonl", ABOUT)
    write(output, [b"one\n"], 1)
    killed(output)
    lines = output.journal.read_bytes().splitlines(keepends=True)
    output.journal.write_bytes(b'{"format_version": 99}\n' + lines[1])
    with pytest.raises(StorageError, match=r"can't be read.*format version 99.*--restart"):
        Output(tmp_path / "out.jsonl", ABOUT)


FIELD = st.text(st.characters(codec="utf-8"), max_size=6)
CONTENT = {
    "lines": st.lists(FIELD, max_size=8).map("\n".join),
    "jsonl": st.lists(
        st.one_of(
            st.builds('{{"text": "{}"}}'.format, st.text("ab \u00e9", max_size=4)),
            st.sampled_from(["", "  ", "{", '{"id": 3, "text": "x"}\r', "null"]),
        ),
        max_size=8,
    ).map("\n".join),
    "csv": st.lists(
        st.sampled_from(['"a\nb"', "c", '""', '"d""e"', 'f"g', "h,i", "", '"broken']), max_size=8
    ).map(lambda rows: "\n".join(["text", *rows])),
}


@pytest.mark.parametrize("form", CONTENT)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_reading_goes_on_from_any_place(form: str, data: st.DataObject) -> None:
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    content = (mark + data.draw(CONTENT[form])).encode()

    def reader(start: Place | None = None) -> TextReader:
        name = f"x.{form}" if form == "csv" else "x"
        asked = data.draw(st.sampled_from(["auto", form])) if form == "csv" else form
        return TextReader(io.BytesIO(content), format=asked, name=name, start=start)

    whole = reader()
    places: list[Place] = []
    entries: list[Entry] = []
    for entry in whole:
        entries.append(entry)
        places.append(whole.place)
    assert whole.place.offset == len(content)
    for number, start in enumerate(places, start=1):
        assert start.sha256 == hashlib.sha256(content[: start.offset]).hexdigest()
        assert list(reader(start)) == entries[number:]


def test_other_bytes_before_the_place_are_noticed() -> None:
    first = TextReader(io.BytesIO(b"one\ntwo\nthree\n"), format="lines")
    next(iter(first))
    changed = TextReader(io.BytesIO(b"One\ntwo\nthree\n"), format="lines", start=first.place)
    with pytest.raises(DataChanged, match="its first 4 bytes are others"):
        next(iter(changed))
    shorter = TextReader(io.BytesIO(b"on"), format="lines", start=first.place)
    with pytest.raises(DataChanged, match="its first 4 bytes are others"):
        next(iter(shorter))


def test_what_another_process_finished_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, windows = tmp_path / "out.jsonl", [b"one\n", b"two\n"]
    first = Output(target, ABOUT)
    write(first, windows, 2)
    lock = resume.fcntl.flock

    def late(file: object, how: int) -> None:
        if not target.exists():
            first.finish()
            first.close()
        lock(file, how)  # type: ignore[call-overload]

    monkeypatch.setattr(resume.fcntl, "flock", late)
    second = Output(target, ABOUT)
    assert target.read_bytes() == b"one\ntwo\n"
    assert not second.resumed
    write(second, [b"three\n"], 1)
    second.finish()
    second.close()
    assert target.read_bytes() == b"three\n"
