"""What breaks when a key on the command line is taken for another cloud's."""

from __future__ import annotations

import pytest
import typer

from cli.kms.keys import CloudOptions, body

ARN = "arn:aws:kms:eu-west-1:111122223333:key/1"
GCP = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
AZURE = "https://acme.vault.azure.net/keys/coffer"


def test_the_region_of_an_aws_key_is_its_arns_unless_another_is_said() -> None:
    assert body(ARN, CloudOptions(role_arn="role"))["config"] == {
        "region": "eu-west-1",
        "role_arn": "role",
    }
    other = body(ARN, CloudOptions(role_arn="role", external_id="ext", region="us-east-1"))
    assert other["config"] == {"region": "us-east-1", "role_arn": "role", "external_id": "ext"}
    assert body("arn:half", CloudOptions())["config"] == {"region": ""}


@pytest.mark.parametrize(
    ("key", "provider", "config"),
    [
        (GCP, "gcp", {"impersonate_service_account": "a@b"}),
        (AZURE, "azure", {"vault_url": "https://acme.vault.azure.net"}),
    ],
)
def test_the_cloud_is_told_by_the_form_of_the_key(
    key: str, provider: str, config: dict[str, str]
) -> None:
    said = CloudOptions(impersonate_service_account=config.get("impersonate_service_account"))
    assert body(key, said) == {"provider": provider, "kms_key_ref": key, "config": config}


def test_what_was_said_is_sent_even_where_it_does_not_belong() -> None:
    # The API tells the field; the command line does not drop it in silence.
    assert body(GCP, CloudOptions(role_arn="r"))["config"] == {"role_arn": "r"}


@pytest.mark.parametrize("key", ["", "alias/coffer", "http://acme.vault.azure.net/keys/k", "1234"])
def test_a_key_of_no_known_form_is_refused_with_the_forms_there_are(key: str) -> None:
    with pytest.raises(typer.BadParameter, match="arn:"):
        body(key, CloudOptions())
