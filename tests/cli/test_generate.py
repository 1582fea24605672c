"""``gradus generate`` on a tiny model, in this process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.scoring.causal import save_source

import gradus
from gradus import generation
from gradus.cli import generate_show
from gradus.cli.main import main
from gradus.generation import Decoding
from gradus.generation.chat import PLAIN_STOP, Chat

TEXTS = (
    "The river rose in the night, and the bridge was closed before the first train came.",
    "She counted the boats again. There were nine; one was missing, as he had said.",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("generate") / "lm"
    save_source(folder, TEXTS)
    return str(folder)


@pytest.fixture(scope="module")
def writer(model: str) -> Any:
    return generation.open(model, threads=1)


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main(["generate", *map(str, arguments), "--threads", "1"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def fault(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main(["generate", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 2, captured.out
    assert captured.out == ""
    return captured.err


def test_one_prompt_is_written_as_it_is(model: str, writer: Any, capsys: Any) -> None:
    found = said(capsys, model, "The river", "--max-tokens", 8)
    assert found == writer.generate("The river", Decoding(max_tokens=8)) + "\n"


def test_settings_are_flags(model: str, writer: Any, capsys: Any) -> None:
    flags = ["--temperature", 0.9, "--top-k", 30, "--top-p", 0.9, "--min-p", 0.01]
    flags += ["--typical-p", 0.95, "--repetition-penalty", 1.1, "--frequency-penalty", 0.1]
    flags += ["--presence-penalty", 0.2, "--stop", "zz", "--stop", "qq", "--seed", 4]
    found = json.loads(said(capsys, model, "The river", *flags, "--max-tokens", 9, "--json"))
    settings = Decoding(
        max_tokens=9,
        temperature=0.9,
        top_k=30,
        top_p=0.9,
        min_p=0.01,
        typical_p=0.95,
        repetition_penalty=1.1,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        stop=("zz", "qq"),
        seed=4,
    )
    assert found["decoding"] == settings.said
    (one,) = writer.continuations(["The river"], settings=settings)
    assert found["writings"] == [{"prompt": "The river", **one._asdict()}]
    beams = said(capsys, model, "The river", "--beams", 3, "--length-penalty", 0, "--max-tokens", 5)
    settings = Decoding(beams=3, length_penalty=0, max_tokens=5)
    assert beams == writer.generate("The river", settings) + "\n"


def test_many_texts_of_many_prompts(model: str, writer: Any, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "The river"}\n\n{"prompt": "She\\ncounted"}\n', encoding="utf-8")
    flags = ["--prompts", file, "--each", 2, "--temperature", 1, "--max-tokens", 6]
    found = json.loads(said(capsys, model, *flags, "--json"))
    settings = Decoding(temperature=1, max_tokens=6)
    prompts = ["The river", "The river", "She\ncounted", "She\ncounted"]
    assert [one["text"] for one in found["writings"]] == writer.generate_all(
        prompts, settings=settings
    )
    assert [one["prompt"] for one in found["writings"]] == prompts
    assert found["backend"] == "torch"
    assert found["tokens_per_second"] > 0
    shown = said(capsys, model, *flags)
    assert shown.startswith(f"--- prompt 1, text 1\nThe river{found['writings'][0]['text']}\n")
    assert "--- prompt 2, text 2\n" in shown


def test_standard_input_is_a_prompt(model: str, writer: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The river\nrose\n"))
    found = said(capsys, model, "--max-tokens", 5)
    assert found == writer.generate("The river\nrose", Decoding(max_tokens=5)) + "\n"


def test_chat_wraps_prompts_and_talks(
    model: str, writer: Any, capsys: Any, monkeypatch: Any
) -> None:
    from transformers import AutoTokenizer

    chat = Chat(AutoTokenizer.from_pretrained(model))
    settings = Decoding(max_tokens=6, stop=PLAIN_STOP)
    prompt = chat.prompt([("system", "Be brief."), ("user", "Where?")])
    found = said(capsys, model, "Where?", "--chat", "--system", "Be brief.", "--max-tokens", 6)
    assert found == writer.generate(prompt, settings) + "\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("Where?\n\nWhen?\n"))
    replies = said(capsys, model, "--chat", "--max-tokens", 6)
    first = writer.generate(chat.prompt([("user", "Where?")]), settings)
    turns = [("user", "Where?"), ("assistant", first.strip()), ("user", "When?")]
    assert replies == f"{first}\n{writer.generate(chat.prompt(turns), settings)}\n"


def test_what_it_expects_is_shown(model: str, tmp_path: Path, capsys: Any) -> None:
    found = said(capsys, model, "The river", "--explain", "--max-tokens", 2, "--top", 3)
    lines = found.splitlines()
    assert lines[0] == "lm sees before; goes on greedy, at most 2 tokens"
    assert found.count("written") == 2
    # The one that is taken is the likeliest, and drawn with certainty.
    assert len([line for line in lines if line.startswith("  > ") and "100.00 %" in line]) == 2
    prompt_alone = said(capsys, model, "The river", "--explain", "--max-tokens", 0)
    assert "comes next" in prompt_alone
    assert "drawn" not in prompt_alone
    raw = json.loads(said(capsys, model, "The river", "--explain", "--json"))
    assert raw["sees"] == "before"
    assert len(raw["positions"][-1]["likely"]) == 10
    written = [place for place in raw["positions"] if place["kind"] == "written"]
    assert len(written) == 12 or raw["ended"]
    page = tmp_path / "why.html"
    assert said(capsys, model, "The river", "--explain", "--html", page) == ""
    places = len(raw["positions"]) - 1  # nothing is asked of the first
    assert page.read_text("utf-8").count("<article") == places


def test_a_journal_is_gone_on_with(
    model: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    journal = tmp_path / "texts.jsonl"
    flags = ["The river", "She", "--max-tokens", 4, "--journal", journal]
    found = said(capsys, model, *flags)
    assert len(journal.read_text("utf-8").splitlines()) == 2

    def nothing_left(_: Any, tasks: Any, *__: Any) -> Any:
        assert not tasks
        return iter(())

    monkeypatch.setattr(type(generation.open(model)), "write", nothing_left)
    assert said(capsys, model, *flags) == found


@pytest.mark.parametrize("keeps", [False, True])
def test_ctrl_c_ends_it(
    keeps: bool, model: str, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(generation, "open", pressed)
    more = ["--journal", str(tmp_path / "texts.jsonl")] if keeps else []
    assert main(["generate", model, "The river", *more]) == 130
    assert ("again to resume" in capsys.readouterr().err) == keeps


def test_bars_are_as_long_as_the_probability() -> None:
    assert generate_show.bar(1.0) == "█" * 32
    assert generate_show.bar(0.25) == "█" * 8
    assert generate_show.bar(1.5 / 32) == "█▌"
    assert generate_show.bar(1e-9) == "▏"
    assert generate_show.bar(0.0) == ""


def test_a_terminal_gets_no_control_characters(
    writer: Any, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(generate_show, "is_terminal", lambda stream=None: True)
    monkeypatch.setattr(
        type(writer), "stream", lambda self, prompt, settings, told: told("a\x1b[2Jb")
    )
    generate_show.streamed(writer, "The river", Decoding())
    assert capsys.readouterr().out == "a\\x1b[2Jb\n"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["x", "--top-p", "1.5", "--temperature", "1"], "--top-p: "),
        (["x", "--top-k", "3"], "at temperature 0 nothing is drawn"),
        (["x", "--max-tokens", "0"], "--max-tokens: "),
        (["x", "--html", "a.html"], "add --explain"),
        (["x", "--system", "Be brief."], "add --chat"),
        (["x", "--chat", "--explain"], "don't go together"),
        (["x", "--explain", "--each", "2"], "leave --each, --journal, --dtype"),
        (["x", "--explain", "--beams", "2"], "leave beams out"),
        (["x", "y", "--explain", "--html", "a.html"], "room for one prompt"),
        (["x", "--explain", "--max-tokens", "0", "--seed", "1"], "writes nothing"),
        (["x", "--backend", "llama.cpp"], "reads GGUF files"),
        (["--chat", "--json"], "leave --json, --each and --journal out"),
    ],
)
def test_faults_are_said(model: str, flags: list[str], expected: str, capsys: Any) -> None:
    assert expected in fault(capsys, model, *flags)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"prompt": "a"}\n{"text": "b"}\n', "a.jsonl, line 2, field 'prompt': is miss"),
        ("a.jsonl", '{"prompt": 3}\n', "line 1, field 'prompt': must be a string, is"),
        ("a.jsonl", "[1]\n", "line 1: must be a JSON object"),
        ("a.txt", "\n \n", "a.txt: the file has no prompt"),
    ],
)
def test_files_of_prompts_that_are_broken(
    model: str, name: str, content: str, expected: str, tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert expected in fault(capsys, model, "--prompts", tmp_path / name)
    assert "not both" in fault(capsys, model, "x", "--prompts", tmp_path / name)


def test_the_same_in_python(model: str, writer: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    found = gradus.generate(model, ["The river"], threads=1, max_tokens=7, journal=journal)
    assert found == [writer.generate("The river", Decoding(max_tokens=7))]
    assert len(journal.read_text().splitlines()) == 1
    with pytest.raises(gradus.GradusError, match="did you mean 'max_tokens'"):
        gradus.generate(model, ["x"], max_token=7)


def test_help_is_quick() -> None:
    code = (
        "import sys; from gradus.cli.main import main; main(['generate', '--help'])\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"
