"""Prediction: load a checkpoint of any kind, preprocess, infer, post-process."""

from gradus.predict.base import Predictor
from gradus.predict.model import Model, Prediction, encoder, load

__all__ = ["Model", "Prediction", "Predictor", "encoder", "load"]
