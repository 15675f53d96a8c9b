"""What a client gets back when all is well: status, envelope, headers, nulls, numbers, times."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from coffer.kms.v1 import kms_pb2
from coffer.rewrap.v1 import rewrap_pb2
from coffer.secrets.v1 import secrets_pb2
from coffer.type.v1 import page_pb2
from google.protobuf.timestamp_pb2 import Timestamp

if TYPE_CHECKING:
    from tests.integration.gateway.conftest import Stack

MARCH = Timestamp(seconds=1773576000, nanos=999_999_999)
SECRET_ID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


async def test_a_created_certificate_has_exactly_the_documented_members(stack: Stack) -> None:
    stack.backend.replies["CreateCertificate"] = secrets_pb2.CreatedCertificate(
        id=SECRET_ID,
        name="MY_TLS_CERT",
        secret_type="certificate",
        certificate_type="pem",
        base_environment="production",
        metadata=secrets_pb2.CertificateMetadata(
            subject="CN=exämple.com", has_private_key=True, expires_at=MARCH, key_size=2048
        ),
    )
    answer = await stack.client.post(
        "/v1/secrets/certificate", json={"name": "MY_TLS_CERT", "certificate_content": "PEM"}
    )
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/secrets/{SECRET_ID}"
    assert answer.json() == {
        "data": {
            "id": SECRET_ID,
            "name": "MY_TLS_CERT",
            "secret_type": "certificate",
            "certificate_type": "pem",
            "base_environment": "production",
            "collection_id": None,
            "metadata": {
                "subject": "CN=exämple.com",
                "issuer": None,
                "expires_at": "2026-03-15T12:00:00.999Z",
                "has_private_key": True,
                "has_passphrase": False,
                "not_before": None,
                "serial_number": None,
                "sha256_fingerprint": None,
                "dns_names": [],
                "ip_addresses": [],
                "key_algorithm": None,
                "key_size": 2048,
                "signature_algorithm": None,
                "is_ca": None,
                "chain_length": None,
                "warnings": [],
            },
        },
        "meta": {"request_id": answer.headers["x-request-id"]},
    }


async def test_the_set_member_of_a_oneof_is_the_body_of_a_created_secret(stack: Stack) -> None:
    stack.backend.replies["CreateSecret"] = secrets_pb2.CreateSecretResponse(
        secret=secrets_pb2.CreatedSecret(id=SECRET_ID, name="A", value_version=1)
    )
    answer = await stack.client.post("/v1/secrets", json={"name": "A", "value": "x"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/secrets/{SECRET_ID}"
    data = answer.json()["data"]
    assert data["id"] == SECRET_ID
    assert "certificate" not in data
    assert "secret" not in data


async def test_a_list_is_an_array_with_its_page_in_meta(stack: Stack) -> None:
    stack.backend.replies["ListSecrets"] = secrets_pb2.ListSecretsResponse(
        secrets=[secrets_pb2.Secret(id=SECRET_ID, name="A", created_at=MARCH)],
        page=page_pb2.Page(total=1, page=1, per_page=20, total_pages=1),
    )
    answer = await stack.client.get("/v1/secrets?per_page=20&search=a%2Bb&sort=name")
    body = answer.json()
    assert answer.status_code == 200
    assert [row["id"] for row in body["data"]] == [SECRET_ID]
    assert body["data"][0]["expires_at"] is None
    assert "metadata" not in body["data"][0], "belongs to certificates only"
    assert body["meta"] == {
        "request_id": answer.headers["x-request-id"],
        "total": 1,
        "page": 1,
        "per_page": 20,
        "total_pages": 1,
    }
    request = stack.backend.received[0].request
    assert (request.per_page, request.search, request.sort) == (20, "a+b", "name")
    assert not request.HasField("page")


async def test_an_admin_reply_is_bare_and_64_bit_numbers_are_numbers(stack: Stack) -> None:
    stack.backend.replies["GetRewrap"] = rewrap_pb2.RewrapLease(id=2**53 + 1, done=12)
    answer = await stack.client.get(f"/admin/tenant-kms/rewraps/{2**53 + 1}")
    body = answer.json()
    assert body["id"] == 2**53 + 1
    assert body["total"] is None
    assert body["eta_seconds"] is None
    assert body["started_at"] is None
    assert "data" not in body
    assert stack.backend.received[0].request.id == 2**53 + 1


async def test_a_struct_in_a_reply_is_itself_with_whole_numbers_as_integers(stack: Stack) -> None:
    reply = kms_pb2.GetTenantKmsResponse()
    reply.config.provider = "customer_kms_aws"
    reply.config.config.update({"region": "eu-central-1", "external_id": None, "n": 5, "f": 0.5})
    stack.backend.replies["GetTenantKms"] = reply
    answer = await stack.client.get("/admin/tenant-kms")
    config = answer.json()["config"]
    assert config["config"] == {"region": "eu-central-1", "external_id": None, "n": 5, "f": 0.5}
    assert '"n":5,' in answer.text.replace(" ", "") or '"n":5}' in answer.text
    assert config["sealed_since"] is None
    assert "draining" not in answer.json()


async def test_a_raw_body_reaches_kms_unread_with_any_member(stack: Stack) -> None:
    body = {"provider": 7, "config": {"deep": [{"secret_access_key": "x"}], "none": None}}
    answer = await stack.client.post("/admin/tenant-kms", json=body)
    assert answer.status_code == 200
    struct = stack.backend.received[0].request.body
    assert struct["config"]["deep"][0]["secret_access_key"] == "x"
    assert struct["provider"] == 7


async def test_an_empty_body_counts_as_an_empty_object_without_a_content_type(
    stack: Stack,
) -> None:
    for path, rpc in (("rotate", "RotateMasterKey"), ("verify", "VerifyTenantKms")):
        answer = await stack.client.post(f"/admin/tenant-kms/{path}")
        assert answer.status_code == 200
        assert stack.backend.received[-1].rpc == rpc
        assert stack.backend.received[-1].request.ByteSize() <= 2


async def test_every_answer_has_its_request_id_and_is_not_to_be_stored(stack: Stack) -> None:
    for path in ("/v1/secrets", "/nowhere", "/healthz", "/v1/secrets/x/value"):
        answer = await stack.client.get(path)
        UUID(answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


async def test_a_client_may_choose_a_uuid_as_request_id_and_nothing_else(stack: Stack) -> None:
    mine = "3FA85F64-5717-4562-B3FC-2C963F66AFA6"
    answer = await stack.client.get("/v1/secrets", headers={"X-Request-Id": mine})
    assert answer.headers["x-request-id"] == mine.lower()
    assert answer.json()["meta"]["request_id"] == mine.lower()
    assert stack.backend.received[-1].metadata["x-request-id"] == mine.lower()
    for other in ("abc", f"{mine}x", "{" + mine + "}", "", "a\tb"):
        answer = await stack.client.get("/v1/secrets", headers={"X-Request-Id": other})
        assert answer.headers["x-request-id"] not in {other, mine.lower()}
        UUID(answer.headers["x-request-id"])


async def test_if_match_may_be_quoted_and_comes_from_the_header_alone(stack: Stack) -> None:
    for value in ("3", '"3"'):
        answer = await stack.client.put(
            f"/v1/secrets/{SECRET_ID}/value", json={"value": "x"}, headers={"If-Match": value}
        )
        assert answer.status_code == 200
        request = stack.backend.received[-1].request
        assert (request.if_match, request.id, request.value) == (3, SECRET_ID, "x")
    for value in ('W/"3"', "*", '"3", "4"', "three", "", '"3', "99999999999999999999"):
        answer = await stack.client.put(
            f"/v1/secrets/{SECRET_ID}/value", json={"value": "x"}, headers={"If-Match": value}
        )
        assert answer.status_code == 400, value
        assert list(answer.json()["error"]["fields"]) == ["if-match"]
    for inside in ("if_match", "id"):
        answer = await stack.client.put(f"/v1/secrets/{SECRET_ID}/value", json={inside: "3"})
        assert answer.json()["error"]["fields"] == {inside: ["unknown field"]}
