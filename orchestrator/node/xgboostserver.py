"""The prepackaged XGBOOST_SERVER."""

from pathlib import Path
from typing import Any

from orchestrator.node.artifacts import described, found, local
from orchestrator.node.errors import StartError


class XGBoostServer:
    """Serves `model.bst` (or `model.json`, `model.ubj`) of a model URI.

    Args:
        model_uri: a folder (or a URI that the storage room knows) that holds the file.
    """

    def __init__(self, model_uri: str) -> None:
        self._uri = model_uri
        self._folder = Path(model_uri)
        self._xgboost: Any = None
        self._booster: Any = None

    def load(self) -> None:
        """Read the model.

        Raises:
            StartError: there is none, or the library is missing.
        """
        try:
            import xgboost
        except ImportError as error:
            raise StartError(f"XGBOOST_SERVER needs the library: pip install xgboost ({error})") from error
        self._xgboost = xgboost
        self._folder = local(self._uri)
        self._booster = xgboost.Booster(model_file=str(found(self._folder, ("model.bst", "model.json", "model.ubj"))))

    def predict(self, X: Any, names: Any, meta: Any = None) -> Any:  # noqa: N803 — the wrapper's contract
        """What the booster says to the rows."""
        return self._booster.predict(self._xgboost.DMatrix(X))

    def init_metadata(self) -> dict[str, Any]:
        """What `metadata.yaml` beside the model says of it."""
        return described(self._folder)
