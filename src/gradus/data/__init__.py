"""Labelled texts: formats, splits, and what is measured on the data themselves.

Loading needs numpy, so `load_dataset` and `measurements` are imported from where they are used:
`gradus.data.load` and `gradus.data.facts`.
"""

from gradus.data.config import DataConfig
from gradus.data.dataset import SPLITS, Dataset, Split, TrainingData

__all__ = ["SPLITS", "DataConfig", "Dataset", "Split", "TrainingData"]
