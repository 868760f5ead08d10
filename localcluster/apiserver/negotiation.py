"""What a client wants back (Accept) and what it sent (Content-Type)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import orjson
import yaml

from localcluster.apiserver import protobuf
from localcluster.apiserver.errors import ApiError, bad_request, unsupported_media_type

Form = Literal["object", "table", "partial"]
_JSON = ("application/json", "*/*", "application/*")
_YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to answer: the object itself, a printed table, or metadata alone; as JSON or as YAML."""

    form: Form = "object"
    yaml: bool = False


PLAIN = Wanted()


@lru_cache(maxsize=256)
def accepted(header: str) -> Wanted:
    """Raises ApiError 406 when there is nothing that we can give."""
    if not header:
        return PLAIN
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        named = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media in _JSON or media == _YAML:
            as_yaml = media == _YAML
            match named.get("as"):
                case None | "":
                    return Wanted("object", as_yaml)
                case "Table":
                    return Wanted("table", as_yaml)
                case "PartialObjectMetadata" | "PartialObjectMetadataList":
                    return Wanted("partial", as_yaml)
                case _:
                    continue
    raise ApiError(
        406, "NotAcceptable", "only the following media types are accepted: application/json, application/yaml"
    )


def media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def decode(body: bytes, header: str) -> Any:
    """The body as data. Raises ApiError 400 for malformed data, 415 for a type that we do not read."""
    media = media_type(header)
    if media == protobuf.MEDIA_TYPE:
        return protobuf.decode(body)
    if media.endswith("yaml"):
        return _yaml(body)
    if media and not media.endswith("json") and media != "application/octet-stream":
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - {media} is not application/json or application/yaml"
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _yaml(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.load(body, Loader=_loader())  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from error


def _loader() -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Plain(loader):  # type: ignore[misc, valid-type]  # the fastest safe loader there is
        """Timestamps stay text, as in JSON."""

    Plain.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in loader.yaml_implicit_resolvers.items()
    }
    return Plain


def encode(obj: Any, wanted: Wanted) -> tuple[bytes, str]:
    """(body, content type)."""
    if wanted.yaml:
        return yaml.safe_dump(obj, sort_keys=False).encode(), _YAML
    return orjson.dumps(obj), "application/json"
