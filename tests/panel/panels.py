"""A run whose writings wait for raters, and what serves it.

The openings and what people wrote are Shakespeare's and Cao Xueqin's; the other writers garble it.
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from gradus.panel import setting
from gradus.panel.assignment import deal
from gradus.panel.criteria import CRITERIA
from gradus.panel.pages import Pages
from gradus.panel.records import PREFERENCE
from gradus.panel.server import application, listen, server
from gradus.panel.store import Progress, Store
from gradus.records import RunRecord, State
from gradus.runner.store import RunFolder
from gradus.writing.records import Samples, Writing, write_samples

WRITERS = ("tiny.at-100", "tiny.at-600", "tiny")

ENGLISH = (
    (
        "KING HENRY V:\nOnce more unto the breach, dear friends, once more;\n",
        "Or close the wall up with our English dead.\nIn peace there's nothing so becomes a man\n"
        "As modest stillness and humility:\nBut when the blast of war blows in our ears,\n"
        "Then imitate the action of the tiger;\nStiffen the sinews, summon up the blood,\n"
        "Disguise fair nature with hard-favour'd rage;",
    ),
    (
        "HAMLET:\nTo be, or not to be: that is the question:\n",
        "Whether 'tis nobler in the mind to suffer\nThe slings and arrows of outrageous fortune,\n"
        "Or to take arms against a sea of troubles,\nAnd by opposing end them? To die: to sleep;\n"
        "No more; and by a sleep to say we end\nThe heart-ache and the thousand natural shocks\n"
        "That flesh is heir to, 'tis a consummation\nDevoutly to be wish'd.",
    ),
    (
        "JAQUES:\nAll the world's a stage,\nAnd all the men and women merely players:\n",
        "They have their exits and their entrances;\nAnd one man in his time plays many parts,\n"
        "His acts being seven ages. At first the infant,\nMewling and puking in the nurse's arms.\n"
        "And then the whining school-boy, with his satchel\nAnd shining morning face, creeping like"
        " snail\nUnwillingly to school.",
    ),
    (
        "PORTIA:\nThe quality of mercy is not strain'd,\n",
        "It droppeth as the gentle rain from heaven\nUpon the place beneath: it is twice blest;\n"
        "It blesseth him that gives and him that takes:\n'Tis mightiest in the mightiest: it"
        " becomes\nThe throned monarch better than his crown;",
    ),
)
CHINESE = (
    (
        "此开卷第一回也。作者自云：因曾历过一番梦幻之后，",
        "故将真事隐去，而借“通灵”之说，撰此《石头记》一书也。故曰“甄士隐”云云。但书中所记何事何人？"
        "自又云：“今风尘碌碌，一事无成，忽念及当日所有之女子，一一细考较去，觉其行止见识，皆出于我之上。”",
    ),
    (
        "列位看官：你道此书从何而来？",
        "说起根由虽近荒唐，细按则深有趣味。待在下将此来历注明，方使阅者了然不惑。"
        "原来女娲氏炼石补天之时，于大荒山无稽崖练成高经十二丈、方经二十四丈顽石三万六千五百零一块。",
    ),
)
HOSTILE = (
    '<script>document.title="taken"</script><img src=x onerror="alert(1)">'
    '</p></article><form action="//elsewhere.test"><input name=nonce></form>{{ 7*7 }}'
    " & &amp; \u202e"
)


def garbled(text: str, share: float, draw: random.Random) -> str:
    """The text with a share of its words at other places."""
    words = text.split(" ") if " " in text else list(text)
    moved = draw.sample(range(len(words)), round(share * len(words)))
    for one, other in zip(moved, draw.sample(moved, len(moved)), strict=True):
        words[one], words[other] = words[other], words[one]
    return (" " if " " in text else "").join(words)


def samples(rows: tuple[tuple[str, str], ...] = ENGLISH, *, hostile: bool = False) -> Samples:
    draw = random.Random(7)
    shares = dict(zip(WRITERS, (0.9, 0.5, 0.2), strict=True))
    made = [
        Writing.of(writer=writer, prompt=prompt, text=garbled(text, share, draw))
        for writer, share in shares.items()
        for prompt, text in rows
    ]
    made += [Writing.of(writer="human", prompt=prompt, text=text) for prompt, text in rows]
    if hostile:
        made = [
            Writing.of(writer=one.writer, prompt=HOSTILE + one.prompt, text=HOSTILE + one.text)
            for one in made
        ]
    return Samples(made)


def leave(folder: Path, written: Samples, **changes: Any) -> setting.Panel:
    """A run folder in which a panel waits, as step `panel` leaves it."""
    place = folder / "steps" / "written" / "checkpoint"
    ref = write_samples(place, written, facts={})
    mode = changes.get("mode", "likert")
    about: dict[str, Any] = {
        "step": "people",
        "mode": "likert",
        "criteria": tuple(CRITERIA) if mode == "likert" else (PREFERENCE,),
        "language": "en",
        "raters": 3,
        "each": 8,
        "seed": 13,
        "samples": str(place.relative_to(folder)),
        "digest": ref.digest,
    }
    RunFolder(folder).save(RunRecord(run=folder.name, plan="quality", state=State.WAITING))
    return setting.leave(folder, setting.Setting(**(about | changes)))


class Served:
    """A panel whose page is open, and the plainest possible browser."""

    def __init__(self, panel: setting.Panel, written: Samples, store: Store) -> None:
        self.panel, self.samples, self.store = panel, written, store
        self.told: list[Progress] = []
        self.address: tuple[str, int] = ("", 0)

    def token(self, number: int = 1) -> str:
        return self.store.token(f"rater-{number}")

    def get(self, path: str, **headers: str) -> Reply:
        return request(self.address, "GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, object] | str, **headers: str) -> Reply:
        return request(self.address, "POST", path, fields, headers)

    def form(self, number: int = 1) -> dict[str, str]:
        return fields_of(self.get(f"/r/{self.token(number)}/next").text)

    def answer(self, number: int = 1, value: int = 4, **changes: object) -> Reply:
        fields = self.form(number) | dict.fromkeys(self.store.criteria, str(value))
        return self.post(f"/r/{self.token(number)}/answer", fields | changes)


class Reply:
    """What came back."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.text = answer.read().decode("utf-8")

    @property
    def to(self) -> str:
        return self.headers.get("location", "")


def request(
    address: tuple[str, int],
    method: str,
    path: str,
    fields: Mapping[str, object] | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    connection = http.client.HTTPConnection(*address, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    if fields is not None:
        sent.setdefault("content-type", "application/x-www-form-urlencoded")
    body = urlencode(fields) if isinstance(fields, Mapping) else fields
    try:
        connection.request(method, path, body, sent)
        return Reply(connection.getresponse())
    finally:
        connection.close()


class _Fields(HTMLParser):
    """The hidden fields of the form of answers."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.found = False, dict[str, str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "form":
            self.inside = known.get("id") == "answers"
        elif tag == "input" and self.inside and known.get("type") == "hidden":
            self.found[str(known["name"])] = str(known["value"])


def fields_of(page: str) -> dict[str, str]:
    parser = _Fields()
    parser.feed(page)
    return parser.found


def undo_of(page: str) -> str:
    found = re.search(r'id="undo"><input type="hidden" name="nonce" value="([^"]+)"', page)
    assert found is not None
    return unescape(found[1])


def enrol(store: Store, panel: setting.Panel, written: Samples, raters: int = 3) -> None:
    about = panel.setting
    for number in range(1, raters + 1):
        rater = f"rater-{number}"
        items = deal(written, mode=about.mode, each=about.each, seed=about.seed, rater=rater)
        store.enrol(rater, items)


@contextmanager
def served(folder: Path, written: Samples | None = None, **changes: Any) -> Iterator[Served]:
    """The page of a panel in `folder`, open in a thread of this process."""
    written = written or samples()
    panel = leave(folder, written, **changes)
    about = panel.setting
    store = Store.create(
        panel.store, mode=about.mode, criteria=about.criteria, samples=about.digest
    )
    enrol(store, panel, written)
    pages = Pages(written, mode=about.mode, criteria=tuple(CRITERIA), spoken=about.language)
    made = Served(panel, written, store)
    running = server(application(store, pages, made.told.append))
    sock: socket.socket = listen("127.0.0.1", 0)
    made.address = sock.getsockname()[:2]
    thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield made
    finally:
        running.should_exit = True
        thread.join(timeout=20)
        store.close()
