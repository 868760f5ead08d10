"""Sources: where a model may be had from, by the form of its `modelUri`. Pure."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from controller.api.deployment import Explainer, PredictiveUnit
from controller.deployment.configuration import Configuration
from controller.deployment.podshape import Found

BUCKETS = ("gs", "s3", "azure", "hdfs", "wasbs", "abfss")
"""Schemes that rclone knows as remotes of these names."""
SCHEMES = (*BUCKETS, "http", "https", "file", "pvc")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_FORMS = {
    "hdfs": (re.compile(r"hdfs://[^/]*/.+"), "hdfs://namenode/path, or hdfs:///path"),
    "file": (re.compile(r"file://(localhost)?/.+"), "file:///absolute/path"),
    "pvc": (re.compile(r"pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/.*)?"), "pvc://claim/path"),
}
_FORM = re.compile(r"[a-z0-9]+://[^/]+(/.*)?")
_PATH = "a scheme, such as gs://bucket/model, or an absolute path"


def faults(holder: PredictiveUnit | Explainer, field: str, configuration: Configuration) -> Iterator[Found]:
    """Return what is wrong with where a model is.

    Args:
        holder: names it, and the Secret that the initializer is configured by.
        field: the path of `modelUri`.
        configuration: says what else configures the initializer, and which one it is.
    """
    uri = holder.model_uri
    found = _SCHEME.match(uri)
    if any(each.isspace() for each in uri):
        yield field, uri, "an address without spaces"
    elif found is not None and found[1] in SCHEMES:
        form, example = _FORMS.get(found[1], (_FORM, f"{found[1]}://{_host(found[1])}/model"))
        if not form.fullmatch(uri):
            yield field, uri, example
    elif not uri.startswith("/") and not _knows_more(holder, configuration):
        yield field, uri, _unknown(found[1]) if found is not None else _PATH


def _host(scheme: str) -> str:
    return "bucket" if scheme in BUCKETS else "host"


def _knows_more(holder: PredictiveUnit | Explainer, configuration: Configuration) -> bool:
    """Say whether the initializer may know other remotes: by a Secret's `RCLONE_CONFIG_*`, or since it is another."""
    other = holder.storage_initializer_image or configuration.initializer_image != Configuration().initializer_image
    return bool(other or holder.env_secret_ref_name or configuration.initializer_env_secret)


def _unknown(scheme: str) -> str:
    near = get_close_matches(scheme.lower(), SCHEMES, n=1)
    meant = f"; did you mean {near[0]}?" if near else "; envSecretRefName configures other remotes of rclone"
    return f"a scheme of {', '.join(SCHEMES)}{meant}"
