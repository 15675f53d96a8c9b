"""Calls of the rpcs of environments and collections, and what is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from coffer.secrets.v1 import collections_pb2, environments_pb2, secrets_pb2
from google.protobuf.field_mask_pb2 import FieldMask

from services.common.errors import CofferError

if TYPE_CHECKING:
    from tests.integration.secrets.stand import Client


def refused(code: str, match: str | None = None) -> pytest.RaisesExc[CofferError]:
    """That what is called in the block is refused with this code."""
    return pytest.raises(CofferError, match=match, check=lambda error: error.code == code)


async def environments(client: Client) -> list[Any]:
    reply = await client.call("ListEnvironments", environments_pb2.ListEnvironmentsRequest())
    return list(reply.environments)


async def make_environment(client: Client, name: str, **fields: Any) -> Any:
    request = environments_pb2.CreateEnvironmentRequest(name=name, **fields)
    return await client.call("CreateEnvironment", request)


async def change_environment(
    client: Client, environment_id: str, mask: list[str] | None = None, **fields: Any
) -> Any:
    """Names in `mask` without a field are null."""
    request = environments_pb2.UpdateEnvironmentRequest(
        id=environment_id, update_mask=FieldMask(paths=[*fields, *(mask or [])]), **fields
    )
    return await client.call("UpdateEnvironment", request)


async def delete_environment(client: Client, environment_id: str) -> Any:
    request = environments_pb2.DeleteEnvironmentRequest(id=environment_id)
    return await client.call("DeleteEnvironment", request)


async def restore_secret(client: Client, secret_id: str, base: str | None = None) -> Any:
    request = secrets_pb2.RestoreSecretRequest(id=secret_id, base_environment=base)
    return await client.call("RestoreSecret", request)


async def remove_value(client: Client, secret_id: str, environment: str) -> Any:
    request = secrets_pb2.DeleteSecretEnvironmentRequest(id=secret_id, environment_name=environment)
    return await client.call("DeleteSecretEnvironment", request)


async def make_collection(client: Client, name: str, **fields: Any) -> Any:
    request = collections_pb2.CreateCollectionRequest(name=name, **fields)
    return await client.call("CreateCollection", request)


async def change_collection(
    client: Client, collection_id: str, mask: list[str] | None = None, **fields: Any
) -> Any:
    """Names in `mask` without a field are null."""
    request = collections_pb2.UpdateCollectionRequest(
        id=collection_id, update_mask=FieldMask(paths=[*fields, *(mask or [])]), **fields
    )
    return await client.call("UpdateCollection", request)


async def delete_collection(client: Client, collection_id: str) -> Any:
    request = collections_pb2.DeleteCollectionRequest(id=collection_id)
    return await client.call("DeleteCollection", request)


async def get_collection(client: Client, collection_id: str) -> Any:
    return await client.call(
        "GetCollection", collections_pb2.GetCollectionRequest(id=collection_id)
    )


def count(client: Client, table: str) -> int:
    """Rows of the tenant in a table of schema `secrets`."""
    rows = client.stand.database.rows(
        f"select count(*) from secrets.{table} where tenant_id = %s", (client.tenant_id,)
    )
    return int(str(rows[0][0]))


def actions(client: Client, prefix: str) -> list[str]:
    """What the audit chain says was done to things of a kind, in order."""
    return [action for action, _ in told(client, prefix)]


def told(client: Client, prefix: str) -> list[tuple[str, dict[str, Any]]]:
    """As `actions`, each with its details."""
    rows = client.stand.database.rows(
        "select action, details from audit.event where tenant_id = %s and starts_with(action, %s)"
        " order by seq",
        (client.tenant_id, prefix),
    )
    return [(str(action), json.loads(str(details))) for action, details in rows]
