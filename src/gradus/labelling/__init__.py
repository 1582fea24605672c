"""Which texts to label next, and what people said of them.

Active learning in batches: of a pool of unlabelled texts those are chosen that the model is unsure
about and that differ from one another, with the model's own answer to begin from. They go out in
the format of a labelling tool and come back as rows of labelled data.
"""

from gradus.labelling.choosing import DIVERSITIES, UNCERTAINTIES, choose, uncertainty
from gradus.labelling.records import Answer, Task, Tasks

__all__ = [
    "DIVERSITIES",
    "UNCERTAINTIES",
    "Answer",
    "Task",
    "Tasks",
    "choose",
    "uncertainty",
]
