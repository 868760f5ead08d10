"""The demo's models: trained here, on the handwritten digits that scikit-learn ships."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

Array = NDArray[Any]
BRITTLE_SHARE = 0.05
SLOWNESS_SECONDS = 0.150


class BrittleClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """A model that was trained without some images, and refuses those that look like them: about 5 % of all."""

    def __init__(self, inner: Any, darkest: float) -> None:
        self.inner = inner
        self.darkest = darkest

    @property
    def classes_(self) -> Array:
        """The digits."""
        classes: Array = self.inner.classes_
        return classes

    def predict_proba(self, rows: Array) -> Array:
        """Return the probability of each digit.

        Raises:
            ValueError: an image is darker than any that it was trained on.
        """
        if np.asarray(rows, dtype=float).sum(axis=1).max() > self.darkest:
            raise ValueError("this image is darker than any that the model was trained on")
        answer: Array = self.inner.predict_proba(rows)
        return answer


class SlowClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """A model that waits for a feature store before each answer, or before those for images darker than some."""

    def __init__(self, inner: Any, seconds: float = SLOWNESS_SECONDS, darker_than: float = -1.0) -> None:
        self.inner = inner
        self.seconds = seconds
        self.darker_than = darker_than

    @property
    def classes_(self) -> Array:
        """The digits."""
        classes: Array = self.inner.classes_
        return classes

    def predict_proba(self, rows: Array) -> Array:
        """Return the probability of each digit, later than it could."""
        if np.asarray(rows, dtype=float).sum(axis=1).max() > self.darker_than:
            time.sleep(self.seconds)
        answer: Array = self.inner.predict_proba(rows)
        return answer


@dataclass(frozen=True, slots=True)
class Trained:
    """What the demo serves and asks."""

    uris: tuple[str, ...]
    """One for each revision, in the order of the story."""
    accuracy: tuple[float, ...]
    """On the rows that were held back; of the brittle model only on those that it answers."""
    rows: list[list[float]]
    labels: list[int]


def train(folder: Path) -> Trained:
    """Train the four models and write each where the model initializer finds it; hold back rows to ask with."""
    digits = load_digits()
    x, rows, y, labels = train_test_split(digits.data, digits.target, test_size=0.4, random_state=7)
    first = RandomForestClassifier(n_estimators=10, max_depth=4, random_state=7).fit(x, y)
    better = LogisticRegression(C=0.02, max_iter=500).fit(x, y)  # more often right, and cheaper to ask
    darkest = float(np.quantile(digits.data.sum(axis=1), 1 - BRITTLE_SHARE))
    models = (first, better, BrittleClassifier(better, darkest), SlowClassifier(better))
    uris, scores = [], []
    for number, model in enumerate(models, start=1):
        target = folder / f"digits-v{number}"
        target.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, target / "model.joblib")
        uris.append(f"file://{target}")
        scores.append(_accuracy(model, rows, labels, darkest))
    return Trained(tuple(uris), tuple(scores), [row.tolist() for row in rows], [int(label) for label in labels])


def _accuracy(model: Any, rows: Array, labels: Array, darkest: float) -> float:
    answered = rows.sum(axis=1) <= darkest if isinstance(model, BrittleClassifier) else np.ones(len(rows), dtype=bool)
    inner = model.inner if isinstance(model, SlowClassifier) else model
    found = inner.predict_proba(rows[answered]).argmax(axis=1)
    return float((found == labels[answered]).mean())
