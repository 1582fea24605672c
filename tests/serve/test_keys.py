"""Keys: made once, kept as hashes, asked of everybody."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from gradus.cli.main import main
from gradus.errors import DataError, UsageError
from gradus.serve import keys
from gradus.serve.access import Access, is_loopback
from gradus.serve.refusals import Refused

from .servers import Running, served


def scope(path: str = "/v1/classify", **headers: str) -> dict[str, object]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"path": path, "headers": raw, "state": {}}


def test_a_file_holds_hashes_and_its_owner_alone_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    token = keys.add(file, "alice")
    content = file.read_text()
    assert token not in content
    assert token.removeprefix(keys.PREFIX) not in content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    name, may, salt, digest = content.split()
    assert (name, may) == ("alice", "use")
    assert hashlib.sha256(bytes.fromhex(salt) + token.encode()).hexdigest() == digest


def test_every_key_is_found_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    tokens = {name: keys.add(file, name) for name in ("a", "b", "c")}
    assert len(set(tokens.values())) == 3
    known = keys.read(file)
    for name, token in tokens.items():
        found = known.find(token.encode())
        assert found is not None
        assert found.name == name
    for wrong in (b"", b"gradus-", tokens["a"][:-1].encode(), tokens["a"].encode() + b"x", b"\xff"):
        assert known.find(wrong) is None


def test_every_key_is_compared_whichever_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.txt"
    tokens = [keys.add(file, name) for name in ("a", "b", "c")]
    known, compared = keys.read(file), list[bytes]()
    whole = keys.hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return whole(one, other)

    monkeypatch.setattr(keys.hmac, "compare_digest", counting)
    known.find(tokens[0].encode())
    assert len(compared) == 3


def test_a_name_can_be_given_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    keys.add(file, "alice")
    with pytest.raises(UsageError, match="alice"):
        keys.add(file, "alice", "admin")
    with pytest.raises(UsageError, match="letters"):
        keys.add(file, "al ice")
    assert len(keys.read(file)) == 1


@pytest.mark.parametrize("before", ["", "# keys\n", "# keys", "old"])
def test_a_file_that_was_edited_takes_a_key(tmp_path: Path, before: str) -> None:
    file = tmp_path / "keys.txt"
    if before == "old":
        keys.add(file, "old")
        before = file.read_text().rstrip("\n")
    file.write_text(before)
    token = keys.add(file, "new")
    found = keys.read(file).find(token.encode())
    assert found is not None
    assert found.name == "new"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no key"),
        ("# nothing\n\n", "no key"),
        ("alice use 00 11\n", "line 1"),
        ("# one\nalice may 00 11\n", "line 2"),
        (f"alice use {'0' * 32} {'z' * 64}\n", "line 1"),
        (f"a use {'0' * 32} {'1' * 64}\na use {'0' * 32} {'1' * 64}\n", "line 2"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(content)
    with pytest.raises(DataError, match=said):
        keys.read(file)


def test_who_comes_in(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    user, admin = keys.add(file, "user"), keys.add(file, "admin", "admin")
    access = Access(keys.read(file))
    for path in (
        "/v1/classify",
        "/metrics",
        "/openapi.json",
        "/nowhere",
        "/admin/swap",
        "//",
        "/x/..",
    ):
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": user}):
            with pytest.raises(Refused) as refused:
                access.enter(scope(path, **headers))
            assert refused.value.status == 401
    for shown in ({"authorization": f"Bearer {user}"}, {"x_api_key": user}):
        inside = scope(**shown)
        access.enter(inside)
        assert not access.admin(inside)
    inside = scope(authorization=f"bearer {admin}")
    access.enter(inside)
    assert access.admin(inside)
    for path in ("/", "/healthz", "/readyz"):
        access.enter(scope(path))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:80", "localhost:8735", "[::1]:80", "127.0.0.1", "[::1]"]
)
def test_without_keys_its_own_name_is_let_in(host: str) -> None:
    Access(loopback=True).enter(scope(host=host))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "10.0.0.1:80", "", "localhost.x"]
)
def test_without_keys_another_name_is_not(host: str) -> None:
    with pytest.raises(Refused) as refused:
        Access(loopback=True).enter(scope(host=host))
    assert refused.value.status == 421


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))


def new_key(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", "--new-key", *arguments]) == 0
    return capsys.readouterr().out.strip()


def test_nothing_is_served_without_a_key(
    floor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys.txt"
    made = new_key(capsys, "alice", "--key-file", str(file))
    admin = new_key(capsys, "root", "--admin", "--key-file", str(file))
    with served(floor, "--key-file", file) as running:
        _nothing_without(running)
        key = {"authorization": f"Bearer {made}"}
        assert running.post("/v1/classify", {"texts": ["a"]}, **key).status == 200
        assert running.get("/metrics", **key).status == 200
        swap = {"checkpoint": str(floor)}
        assert running.post("/admin/swap", swap, **key).status == 403
        key = {"authorization": f"Bearer {admin}"}
        assert running.post("/admin/swap", swap, **key).status == 200
        said = "".join(map(str, running.lines))
        assert "alice" in said
        assert made not in said


def _nothing_without(running: Running) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
        for path in ("/v1/classify", "/v1/info", "/metrics", "/openapi.json", "/admin/swap", "/x"):
            assert running.request(method, path).status == 401
    assert running.get("/healthz").content == b'{"status":"ok"}'
    assert b"floor" not in running.get("/").content
    wrong = running.post("/v1/classify", {"texts": ["a"]}, authorization="Bearer gradus-x")
    assert wrong.status == 401
    assert wrong.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_the_network_is_let_in_knowingly_alone(
    floor: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(floor), "--host", host]) == 2
    assert "--no-keys" in capsys.readouterr().err


def test_new_key_needs_a_file() -> None:
    assert main(["serve", "--new-key", "alice"]) == 2
    assert main(["serve"]) == 2
