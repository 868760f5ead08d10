"""Buckets: what rclone is told of their services, out of the variables that the operator gives to downloads."""

import pytest

from orchestrator.node.storage import remote


def test_s3_takes_the_keys_from_the_environment() -> None:
    assert remote("s3", {}) == {
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "AWS",
        "RCLONE_CONFIG_S3_ENV_AUTH": "true",
    }
    found = remote("s3", {"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_REGION": "eu", "S3_VERIFY_SSL": "0"})
    assert found["RCLONE_CONFIG_S3_ENDPOINT"] == "http://minio:9000"
    assert (found["RCLONE_CONFIG_S3_PROVIDER"], found["RCLONE_CONFIG_S3_REGION"]) == ("Other", "eu")
    assert found["RCLONE_NO_CHECK_CERTIFICATE"] == "true"


def test_google_is_asked_with_the_key_or_as_nobody() -> None:
    with_key = remote("gs", {"GOOGLE_APPLICATION_CREDENTIALS": "/var/secrets/k.json"})
    assert with_key["RCLONE_CONFIG_GS_SERVICE_ACCOUNT_FILE"] == "/var/secrets/k.json"
    assert "RCLONE_CONFIG_GS_ANONYMOUS" not in with_key
    assert remote("gs", {})["RCLONE_CONFIG_GS_ANONYMOUS"] == "true"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_what_the_user_tells_rclone_is_left_alone(scheme: str) -> None:
    assert remote(scheme, {f"RCLONE_CONFIG_{scheme.upper()}_TYPE": "memory", "AWS_ENDPOINT_URL": "x"}) == {}


def test_of_other_services_nothing_is_known() -> None:
    assert remote("azure", {"AWS_ENDPOINT_URL": "x"}) == {}
