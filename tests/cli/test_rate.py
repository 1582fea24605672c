"""``gradus rate``: links, progress, the page itself, and what is said when it can't be opened."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'panel' isn't installed")
pytest.importorskip("uvicorn", reason="the extra 'panel' isn't installed")

from tests.panel.panels import leave, request, samples

from gradus.cli.main import main
from gradus.cli.rate import _teller, base
from gradus.errors import EXIT_DONE, EXIT_USAGE
from gradus.panel.setting import find
from gradus.panel.store import Progress, Store


@pytest.fixture
def run(tmp_path: Path) -> Path:
    leave(tmp_path / "runs" / "quality", samples())
    return tmp_path / "runs" / "quality"


def test_status_prints_a_link_for_every_rater(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rate", str(run), "--status", "--json"]) == EXIT_DONE
    first = json.loads(capsys.readouterr().out)
    assert [row["rater"] for row in first] == ["rater-1", "rater-2", "rater-3"]
    assert {(row["answered"], row["total"], row["finished"]) for row in first} == {(0, 9, False)}
    assert len({row["link"] for row in first}) == 3
    assert all(row["link"].startswith("http://127.0.0.1:8734/r/") for row in first)
    again = ["rate", "quality", "--runs-dir", str(run.parent), "--raters", "4", "--status"]
    assert main([*again, "--link", "https://rate.example/panel/"]) == EXIT_DONE
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5
    token = first[0]["link"].split("/")[-2]
    assert table[1].endswith(f"0 of 9    https://rate.example/panel/r/{token}/")


def answer(run: Path, rater: str, *, care: bool) -> None:
    """All items of a rater, the attention checks as they ask or otherwise."""
    store = Store.open(find(run).store)
    for item in store.items(rater):
        value = 3 if item.expected is None else item.expected
        value = value if care or item.expected is None else 6 - value
        scores = dict.fromkeys(store.criteria, value)
        assert store.submit(rater, item.name, store.nonce(rater, item.name), scores, 1.0)
    store.close()


def test_who_failed_the_checks_isnt_said_to_count(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rate", str(run), "--status"]) == EXIT_DONE
    capsys.readouterr()
    panel = find(run)
    tell = _teller(panel)
    said = []
    for number, care in enumerate((True, False, True), 1):
        answer(run, f"rater-{number}", care=care)
        tell(Progress(rater=f"rater-{number}", answered=9, total=9))
        said.append(capsys.readouterr().err)
    assert said[0] == "rater-1 has finished: 1 of 3\n"
    assert "isn't counted: --raters 4 makes a link for somebody else" in said[1]
    assert said[2] == "rater-3 has finished: 2 of 3\n"
    assert main(["rate", str(run), "--status", "--raters", "4"]) == EXIT_DONE
    assert "9 of 9, checks failed" in capsys.readouterr().out.splitlines()[2]
    answer(run, "rater-4", care=True)
    tell(Progress(rater="rater-4", answered=9, total=9))
    assert "Enough raters have finished" in capsys.readouterr().err
    assert main(["rate", str(run), "--status", "--json"]) == EXIT_DONE
    told = json.loads(capsys.readouterr().out)
    assert [row["careless"] for row in told] == [False, True, False, False]


def test_where_links_lead() -> None:
    assert base("127.0.0.1", 80, None) == "http://127.0.0.1:80"
    assert base("::1", 80, None) == "http://[::1]:80"
    assert base("0.0.0.0", 80, None) == f"http://{socket.gethostname()}:80"
    assert base("0.0.0.0", 80, "https://a.example/") == "https://a.example"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["--language", "fr"], "one of en, zh, both"),
        (["--link", "ftp://x"], "begins with http"),
        (["--step", "peple"], "did you mean 'people'"),
        (["--host", "192.0.2.1", "--port", "0"], "--host and --port"),
    ],
)
def test_faults_are_said(
    run: Path, changes: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rate", str(run), *changes]) == EXIT_USAGE
    assert said in capsys.readouterr().err


def test_a_run_without_a_panel_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "panels" / "people" / "current").unlink()
    assert main(["rate", str(run)]) == EXIT_USAGE
    assert "no panel is waiting" in capsys.readouterr().err


def test_too_few_for_one_prompt_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leave(tmp_path, samples(), each=3)
    assert main(["rate", str(tmp_path)]) == EXIT_USAGE
    assert "each: 3 is too few" in capsys.readouterr().err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_page_opens_and_closes(run: Path, stop: signal.Signals) -> None:
    command = [sys.executable, "-m", "gradus", "rate", str(run), "--port", "0", "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has Ctrl-C ignored by all below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert "The page is open" in process.stderr.readline()
    out = b""
    assert process.stdout is not None
    while not out.endswith(b"]\n"):
        out += process.stdout.readline().encode()
    link = json.loads(out)[0]["link"]
    host, _, port = link.split("/")[2].partition(":")
    reply = request((host, int(port)), "GET", "/" + link.split("/", 3)[3])
    assert "Begin" in reply.text
    process.send_signal(stop)
    _, err = process.communicate(timeout=30)
    assert process.returncode == EXIT_DONE, err
    assert "rater-1: 0 of 9 answered" in err
    assert "Traceback" not in err
