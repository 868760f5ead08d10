"""The prepackaged MLFLOW_SERVER."""

from importlib import import_module
from pathlib import Path
from typing import Any

from orchestrator.node.artifacts import described, local
from orchestrator.node.errors import StartError

_TYPES = ("ndarray", "DataFrame")


class MLFlowServer:
    """Serves an MLflow model (its folder with `MLmodel`) by the pyfunc flavour.

    Args:
        model_uri: the folder, or a URI that the storage room knows.
        xtype: what the model is given: ndarray, or DataFrame with the request's names as columns.
    """

    def __init__(self, model_uri: str, xtype: str = "ndarray") -> None:
        if xtype not in _TYPES:
            raise StartError(f"parameter xtype: {xtype!r} is not valid; expected one of {', '.join(_TYPES)}")
        self._uri = model_uri
        self._xtype = xtype
        self._folder = Path(model_uri)
        self._model: Any = None

    def load(self) -> None:
        """Read the model.

        Raises:
            StartError: there is none, or the library is missing.
        """
        try:
            from mlflow import pyfunc
        except ImportError as error:
            raise StartError(f"MLFLOW_SERVER needs the library: pip install mlflow ({error})") from error
        self._folder = local(self._uri)
        self._model = pyfunc.load_model(str(self._folder))

    def predict(self, X: Any, names: Any, meta: Any = None) -> Any:  # noqa: N803 — the wrapper's contract
        """What the model says to the rows."""
        if self._xtype == "DataFrame" and names:
            pandas = import_module("pandas")  # comes with MLflow
            X = pandas.DataFrame(X, columns=list(names))  # noqa: N806 — the same name as the contract's
        return self._model.predict(X)

    def init_metadata(self) -> dict[str, Any]:
        """What `metadata.yaml` beside the model says of it."""
        return described(self._folder)
