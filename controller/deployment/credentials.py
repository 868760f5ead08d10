"""Credentials for the download of a model: what the Secrets of a service account give to the init container. Pure.

Reference, section 2.10. A Secret with an S3 key becomes variables that refer to it, one with a Google key is mounted;
no Secret's content is copied anywhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_ACCOUNT = "default"
GCS_VOLUME = "user-gcp-sa"
GCS_FOLDER = "/var/secrets/"
_PREFIXES = ("machinelearning.seldon.io", "serving.kubeflow.org")
_WITHOUT = ("pvc://", "file://", "http://", "https://", "/")
"""Of these no credentials are asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of Secrets that mean something; the config map's `credentials` may name others."""

    s3_access_key_id: str = "awsAccessKeyID"
    s3_secret_access_key: str = "awsSecretAccessKey"  # noqa: S105 - the name of a key
    s3_endpoint: str = ""
    s3_use_https: str = ""
    gcs_file: str = "gcloud-application-credentials.json"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an init container gets.

    Args:
        env: variables.
        secret: the Secret with a Google key, to be mounted; empty when there is none.
        file: its file.
    """

    env: tuple[Mapping[str, Any], ...] = ()
    secret: str = ""
    file: str = ""


def accounts(spec: object) -> frozenset[str]:
    """Return the service accounts whose Secrets the downloads of a spec may need; the spec is as the API gives it."""
    return frozenset(_accounts(spec))


def _accounts(part: object) -> Iterator[str]:
    """Walk the predictors of a spec, their graphs and their explainers, whatever else stands there."""
    if not isinstance(part, Mapping):
        return
    uri, name = part.get("modelUri"), part.get("serviceAccountName")
    if isinstance(uri, str) and needs_credentials(uri):
        yield account_of(name if isinstance(name, str) else "")
    for lists in ("predictors", "children"):
        entries = part.get(lists)
        for each in entries if isinstance(entries, list) else ():
            yield from _accounts(each)
    for field in ("graph", "explainer"):
        yield from _accounts(part.get(field))


def account_of(name: str) -> str:
    """Return the service account: the named one, or `default`."""
    return name or DEFAULT_ACCOUNT


def needs_credentials(uri: str) -> bool:
    """Return whether a download may need credentials: it is one from a bucket."""
    return bool(uri) and not uri.startswith(_WITHOUT)


def granted(secrets: Iterable[Mapping[str, Any]], keys: Keys) -> Grant:
    """Return what Secrets give, in their order; of several with the same use the last counts."""
    env: dict[str, Mapping[str, Any]] = {}
    mounted = ""
    for secret in secrets:
        data, metadata = secret.get("data") or {}, secret["metadata"]
        if keys.s3_secret_access_key in data:
            env |= _s3(metadata, keys)
        elif keys.gcs_file in data:
            mounted = metadata["name"]
    if mounted:
        path = f"{GCS_FOLDER}{keys.gcs_file}"
        env["GOOGLE_APPLICATION_CREDENTIALS"] = {"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": path}
    return Grant(tuple(env.values()), mounted, keys.gcs_file if mounted else "")


def _s3(metadata: Mapping[str, Any], keys: Keys) -> dict[str, Mapping[str, Any]]:
    """Return the variables of AWS' tools, and of the initializers of Seldon Core."""
    found = {
        "AWS_ACCESS_KEY_ID": _reference(metadata["name"], keys.s3_access_key_id),
        "AWS_SECRET_ACCESS_KEY": _reference(metadata["name"], keys.s3_secret_access_key),
    }
    notes = metadata.get("annotations") or {}

    def noted(name: str) -> str:
        return next((notes[f"{each}/s3-{name}"] for each in _PREFIXES if f"{each}/s3-{name}" in notes), "")

    endpoint, https = noted("endpoint") or keys.s3_endpoint, noted("usehttps") or keys.s3_use_https
    values = {"AWS_REGION": noted("region"), "S3_VERIFY_SSL": noted("verifyssl")}
    if endpoint:
        scheme = "http" if https == "0" else "https"
        values |= {"S3_USE_HTTPS": https, "S3_ENDPOINT": endpoint, "AWS_ENDPOINT_URL": f"{scheme}://{endpoint}"}
    plain = {name: {"name": name, "value": value} for name, value in values.items() if value}
    return {**{name: {"name": name, "valueFrom": source} for name, source in found.items()}, **plain}


def _reference(secret: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": secret, "key": key}}
