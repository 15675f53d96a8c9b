"""What a person can type while the demo's stack is kept running."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from cli.demo.storing import CERTIFICATE_NAME

if TYPE_CHECKING:
    from cli.local.credentials import Credentials


def examples(credentials: Credentials, data_dir: Path) -> str:
    """URLs, where the credentials are, and commands to paste into another terminal.

    No token and no key is in the text: the commands take them from the file. Needs curl, and grpcurl for
    the last one.
    """
    url, grpc, slug = credentials.base_url, credentials.grpc, credentials.tenant_slug
    coffer = f"{quote(str(Path(sys.executable).with_name('coffer')))}"
    where = f"--data-dir {quote(str(data_dir))}"
    access = f'{{"tenant_id": "{credentials.tenant_id}", "name": "{CERTIFICATE_NAME}"}}'
    return f"""
  REST API      {url}   described at {url}/docs
  gRPC (mTLS)   kms {grpc.kms}, secrets {grpc.secrets}, rewrap {grpc.rewrap}
  tenant        {slug} ({credentials.tenant_id})
  credentials   {data_dir / "credentials.json"}

In another terminal:

credential() {{ python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' \
{quote(str(data_dir / "credentials.json"))} "$1"; }}
API_KEY=$(credential api_key); ADMIN_JWT=$(credential admin_jwt)

# what is stored, without values; the state of the tenant's key; one more secret
curl -sS "{url}/v1/secrets?search=TLS" -H "Authorization: Bearer $API_KEY"
curl -sS {url}/admin/tenant-kms -H "Authorization: Bearer $ADMIN_JWT"
curl -sS {url}/v1/secrets -H "Authorization: Bearer $API_KEY" -H "Content-Type: application/json" \\
  -d '{{"name": "GREETING", "value": "hello"}}'

# rotate the master key, and look at the rewraps
curl -sS -X POST {url}/admin/tenant-kms/rotate -H "Authorization: Bearer $ADMIN_JWT" \\
  -H "X-KnoxCall-StepUp: $({coffer} token step-up --tenant {slug} {where})"
curl -sS {url}/admin/tenant-kms/rewraps -H "Authorization: Bearer $ADMIN_JWT"

# fetch the certificate and its key, as the consumer that was granted them
grpcurl -cacert {quote(credentials.ca_file)} -cert {quote(credentials.client_cert_file)} \\
  -key {quote(credentials.client_key_file)} -d '{access}' \\
  {grpc.secrets} coffer.secrets.v1.SecretsService/AccessSecret
"""
