"""A stack whose services are tiny programs: what the supervisor does, without what they do.

Run as a program it is a supervisor to be killed: `small_stack.py FOLDER` prints a line when ready.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from cli.local.programs import Parts
from cli.local.stack import Stack

SERVICE = """
import json, os, signal, socket, sys
name = sys.argv[1].upper()
host, port = os.environ[f"COFFER_{name}_LISTEN"].split(":")
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind((host, int(port)))
s.listen()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
path = os.environ[f"COFFER_{name}_READY_FILE"]
with open(path + ".new", "w") as f:
    json.dump({"pid": os.getpid(), "listen": f"{host}:{port}"}, f)
os.replace(path + ".new", path)
while True:
    s.accept()[0].close()
"""

DEVCLOUD = """
import json, os, signal, sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
told = {"aws_endpoint_url": "http://" + a["--listen"], "aws_key_arn": "arn:key",
        "aws_role_arn": "arn:role", "aws_external_id": a["--external-id"], "aws_region": "eu-west-1",
        "aws_principal_arn": "arn:principal",
        "aws_access_key_id": "id", "aws_secret_access_key": "sk", "control_token": "ct"}
told |= {name: name for name in ("gcp_metadata_host", "gcp_kms_endpoint", "gcp_iam_endpoint_url",
         "gcp_ca_file", "gcp_principal", "gcp_key", "gcp_service_account", "azure_key",
         "azure_federated_token_file", "azure_identity_endpoint", "azure_identity_header",
         "azure_vault_endpoint_url", "azure_authority_url", "azure_ca_file", "azure_application_id",
         "azure_tenant_id", "azure_client_id")}
path = a["--ready-file"]
with open(path + ".new", "w") as f:
    json.dump(told, f)
os.replace(path + ".new", path)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""


class MemoryTenancy:
    """A registry that knows one tenant."""

    def find_tenant(self, dsn: str, slug: str) -> str | None:
        return "11111111-1111-1111-1111-111111111111"

    def create_tenant(self, dsn: str, slug: str, name: str, plan: str) -> str:
        raise AssertionError("the tenant is there")

    def create_api_key(self, dsn: str, tenant_id: str, name: str, scopes: Sequence[str]) -> str:
        return f"tk_live_{threading.get_native_id()}"

    def api_key_works(self, dsn: str, tenant_id: str, token: str) -> bool:
        return True

    def lift_rate_limits(self, dsn: str, tenant_id: str) -> None:
        pass

    def grant_consumer(self, dsn: str, tenant_id: str, consumer: str) -> None:
        assert consumer == "dev"


def migrate(dsn: str, passwords: Mapping[str, str]) -> None:
    """There are no tables."""


def small_stack(folder: Path, *, devcloud: bool = False, http_port: int = 0) -> Stack:
    """A stack in `folder/data` with its programs beside it."""
    service, cloud = folder / "service.py", folder / "devcloud.py"
    service.write_text(SERVICE)
    cloud.write_text(DEVCLOUD)
    python = (sys.executable, "-S", "-E")
    argv: dict[str, tuple[str, ...]] = {
        n: (*python, str(service), n) for n in ("kms", "secrets", "rewrap", "gateway")
    }
    argv["devcloud"] = (*python, str(cloud))
    return Stack(
        folder / "data",
        http_port=http_port,
        devcloud=devcloud,
        durable=False,
        parts=Parts(argv, migrate, ("coffer_kms",), MemoryTenancy()),
        operator={"PATH": "/usr/bin:/bin"},
    )


if __name__ == "__main__":
    small_stack(Path(sys.argv[1])).start()
    print("ready", flush=True)
    threading.Event().wait()
