"""The prepackaged SKLEARN_SERVER."""

import pickle
from pathlib import Path
from typing import Any

from orchestrator.node.artifacts import described, found, local
from orchestrator.node.errors import StartError

_METHODS = ("predict_proba", "predict", "decision_function")


class SKLearnServer:
    """Serves `model.joblib` or `model.pkl` of a model URI.

    Args:
        model_uri: a folder (or a URI that the storage room knows) that holds the file.
        method: predict_proba, predict or decision_function.
    """

    def __init__(self, model_uri: str, method: str = "predict_proba") -> None:
        if method not in _METHODS:
            raise StartError(f"parameter method: {method!r} is not valid; expected one of {', '.join(_METHODS)}")
        self._uri = model_uri
        self._method = method
        self._folder = Path(model_uri)
        self._call: Any = None

    def load(self) -> None:
        """Read the model.

        Raises:
            StartError: there is none, or it has not the method.
        """
        self._folder = local(self._uri)
        file = found(self._folder, ("model.joblib", "model.pkl", "model.pickle"))
        model = _unpickled(file)
        self._call = getattr(model, self._method, None)
        if self._call is None:
            has = [name for name in _METHODS if hasattr(model, name)]
            raise StartError(
                f"{file.name} holds a {type(model).__name__}, which has no {self._method}(); "
                f"set the parameter method to one of: {', '.join(has) or 'none of ours'}"
            )

    def predict(self, X: Any, names: Any, meta: Any = None) -> Any:  # noqa: N803 — the wrapper's contract
        """What the model's method says to the rows."""
        return self._call(X)

    def init_metadata(self) -> dict[str, Any]:
        """What `metadata.yaml` beside the model says of it."""
        return described(self._folder)


def _unpickled(file: Path) -> Any:
    # A model file is code of its author's: who serves it trusts it.
    if file.suffix == ".joblib":
        try:
            import joblib
        except ImportError as error:
            raise StartError(f"SKLEARN_SERVER needs scikit-learn: pip install scikit-learn ({error})") from error
        return joblib.load(file)
    with file.open("rb") as stream:
        return pickle.load(stream)  # noqa: S301 — see above
