"""Licences by the names that the Hub knows them by, and how their texts begin.

The identifiers are those of https://huggingface.co/docs/hub/repositories-licenses.
"""

from __future__ import annotations

import re
from typing import Final

HUB: Final = frozenset(
    {
        "apache-2.0",
        "mit",
        "openrail",
        "bigscience-openrail-m",
        "creativeml-openrail-m",
        "bigscience-bloom-rail-1.0",
        "bigcode-openrail-m",
        "afl-3.0",
        "artistic-2.0",
        "bsl-1.0",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "bsd-3-clause-clear",
        "c-uda",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "wtfpl",
        "ecl-2.0",
        "epl-1.0",
        "epl-2.0",
        "etalab-2.0",
        "eupl-1.1",
        "eupl-1.2",
        "agpl-3.0",
        "gfdl",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "isc",
        "h-research",
        "intel-research",
        "lppl-1.3c",
        "ms-pl",
        "apple-ascl",
        "apple-amlr",
        "mpl-2.0",
        "odc-by",
        "odbl",
        "openrail++",
        "osl-3.0",
        "postgresql",
        "ofl-1.1",
        "ncsa",
        "unlicense",
        "zlib",
        "pddl",
        "lgpl-lr",
        "deepfloyd-if-license",
        "llama2",
        "llama3",
        "llama3.1",
        "llama3.2",
        "llama3.3",
        "llama4",
        "gemma",
    }
)

_ALIASES: Final = {
    "apache": "apache-2.0",
    "apache 2": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache license 2.0": "apache-2.0",
    "apache license, version 2.0": "apache-2.0",
    "apache software license": "apache-2.0",
    "mit license": "mit",
    "the mit license": "mit",
    "bsd license": "bsd",
    "mozilla public license 2.0 (mpl 2.0)": "mpl-2.0",
    "cc0 1.0 universal (cc0 1.0) public domain dedication": "cc0-1.0",
    "gnu general public license v3 (gplv3)": "gpl-3.0",
    "gnu affero general public license v3": "agpl-3.0",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}

_TEXTS: Final = (
    (r"apache license version 2\.0", "apache-2.0"),
    (r"gnu affero general public license version 3", "agpl-3.0"),
    (r"gnu lesser general public license version 3", "lgpl-3.0"),
    (r"gnu general public license version 3", "gpl-3.0"),
    (r"gnu general public license version 2", "gpl-2.0"),
    (r"mozilla public license version 2\.0", "mpl-2.0"),
    (r"cc0 1\.0 universal", "cc0-1.0"),
)
_CREATIVE: Final = re.compile(
    r"attribution(-noncommercial)?(-noderivatives|-sharealike)? ([234]\.[05]) "
    r"(?:international|generic|unported)"
)
_MARKS: Final = {
    None: "",
    "-noncommercial": "-nc",
    "-noderivatives": "-nd",
    "-sharealike": "-sa",
}


def identifier(said: str) -> str | None:
    """The Hub's identifier of a licence as somebody writes it; None where it has none.

    >>> identifier("Apache Software License"), identifier("GPL-3.0-or-later"), identifier("Ours")
    ('apache-2.0', 'gpl-3.0', None)
    """
    name = " ".join(said.lower().split())
    name = _ALIASES.get(name, name)
    name = name.removesuffix("-only").removesuffix("-or-later")
    return name if name in HUB else None


def of_text(text: str) -> str | None:
    """The Hub's identifier of the licence whose text this is; None for a text not known.

    Only what stands near the beginning counts, since texts of bundled parts may follow.
    """
    begin = " ".join(text[:4000].lower().split())
    for pattern, name in _TEXTS:
        if re.search(pattern, begin[:400]):
            return name
    creative = _CREATIVE.search(begin[:400])
    if creative:
        return f"cc-by{_MARKS[creative[1]]}{_MARKS[creative[2]]}-{creative[3]}"
    if "permission is hereby granted, free of charge, to any person obtaining a copy" in begin:
        return "mit" if "the above copyright notice and this permission notice" in begin else None
    if "redistribution and use in source and binary forms" in begin:
        return "bsd-3-clause" if "neither the name" in begin else "bsd-2-clause"
    return None
