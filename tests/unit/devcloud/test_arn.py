"""ARNs of every partition are read and written."""

from __future__ import annotations

import pytest

from devcloud.aws.arn import alias_arn, iam_arn, key_arn, parse_arn


def test_the_partition_follows_the_region() -> None:
    assert key_arn("eu-west-1", "1", "k") == "arn:aws:kms:eu-west-1:1:key/k"
    assert key_arn("cn-north-1", "1", "k") == "arn:aws-cn:kms:cn-north-1:1:key/k"
    assert alias_arn("us-gov-west-1", "1", "alias/a").startswith("arn:aws-us-gov:kms:")
    assert key_arn("us-isob-east-1", "1", "k").startswith("arn:aws-iso-b:")
    assert iam_arn("aws-cn", "1", "role/r") == "arn:aws-cn:iam::1:role/r"


def test_an_arn_survives_reading_with_colons_in_its_resource() -> None:
    text = "arn:aws:kms:eu-west-1:1:alias/a:b"
    assert str(parse_arn(text)) == text


@pytest.mark.parametrize("text", ["", "arn:aws:kms", "urn:aws:kms:r:1:key/k", "arn:aws:kms:r:1:"])
def test_what_is_no_arn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an ARN"):
        parse_arn(text)
