"""The tables of a panel's file, and how the file is made and opened."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gradus.panel.records import Mode

FORMAT: Final = 1
BUSY_SECONDS: Final = 30.0
"""How long to wait for another process that is writing."""

SCHEMA: Final = """
CREATE TABLE panel (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE raters (
    rater    TEXT PRIMARY KEY,
    number   INTEGER NOT NULL UNIQUE,
    language TEXT
) STRICT;
CREATE TABLE items (
    rater    TEXT NOT NULL REFERENCES raters (rater),
    position INTEGER NOT NULL,
    item     TEXT NOT NULL,             -- what the page calls it: says nothing of the writing
    first    TEXT NOT NULL,             -- the id of the writing, or of the left one of a pair
    second   TEXT,                      -- the id of the right one of a pair
    expected INTEGER,                   -- what an attention check asks for; NULL for all others
    PRIMARY KEY (rater, position),
    UNIQUE (rater, item)
) STRICT;
CREATE TABLE answers (
    nonce     TEXT PRIMARY KEY,
    rater     TEXT NOT NULL,
    item      TEXT NOT NULL,
    seconds   REAL NOT NULL CHECK (seconds >= 0),
    at        TEXT NOT NULL,
    withdrawn TEXT,                     -- when it was taken back; NULL while it counts
    FOREIGN KEY (rater, item) REFERENCES items (rater, item)
) STRICT;
CREATE UNIQUE INDEX one_answer_each ON answers (rater, item) WHERE withdrawn IS NULL;
CREATE TABLE scores (
    nonce     TEXT NOT NULL REFERENCES answers (nonce),
    criterion TEXT NOT NULL,
    value     INTEGER NOT NULL CHECK (value BETWEEN 0 AND 5),
    PRIMARY KEY (nonce, criterion)
) STRICT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that several threads may take turns with; transactions are begun by hand."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def make(path: Path, mode: Mode, criteria: Sequence[str], samples: str) -> None:
    """A new file, which is there as a whole or not at all; two makers can't both have made it."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    about = {
        "format": str(FORMAT),
        "mode": mode,
        "criteria": json.dumps(list(criteria)),
        "samples": samples,
        "secret": secrets.token_hex(32),
    }
    part.touch(mode=0o600)  # holds the secret of the raters' links; SQLite's other files follow it
    connection = sqlite3.connect(part)
    try:
        connection.executescript(SCHEMA)
        with connection:
            connection.executemany("INSERT INTO panel VALUES (?, ?)", about.items())
    finally:
        connection.close()
    try:
        # A link, unlike a rename, doesn't replace what another process made meanwhile.
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
