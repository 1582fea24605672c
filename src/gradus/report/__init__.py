"""The report of a run: facts first, then renderers over the same facts.

`facts` reads what a run left in its folder and computes no score; `write_report` renders the facts
as JSON, Markdown and one HTML file that works offline; `table` gives the rows for a terminal.
"""

from gradus.report.gather import facts
from gradus.report.tables import table
from gradus.report.write import write_report

__all__ = ["facts", "table", "write_report"]
