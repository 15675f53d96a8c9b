"""What a person can type while the demo's stack is kept running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.demo.storing import CERTIFICATE_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from cli.local.credentials import Credentials


def examples(credentials: Credentials, credentials_file: Path) -> str:
    """URLs, where the credentials are, and commands to paste into another terminal.

    Needs curl and jq there. Tokens are read from the file, so none is in the terminal's history.
    """
    url = credentials.base_url
    data_dir = credentials_file.parent
    return f"""\
REST API       {url}   (description: {url}/docs)
gRPC (mTLS)    kms {credentials.grpc.kms}, secrets {credentials.grpc.secrets}, \
rewrap {credentials.grpc.rewrap}
tenant         {credentials.tenant_slug} ({credentials.tenant_id})
credentials    {credentials_file}

In another terminal:

  C={credentials_file}
  key() {{ jq -r ".$1" $C; }}

  # what is stored, and the state of the tenant's key
  curl -sH "Authorization: Bearer $(key api_key)" '{url}/v1/secrets?search=TLS' | jq
  curl -sH "Authorization: Bearer $(key admin_jwt)" {url}/admin/tenant-kms | jq

  # store one more
  curl -sH "Authorization: Bearer $(key api_key)" -H 'Content-Type: application/json' \\
    -d '{{"name": "HELLO", "value": "world"}}' {url}/v1/secrets | jq

  # rotate, and see the rewraps
  coffer token step-up --data-dir {data_dir} --tenant {credentials.tenant_slug} > /tmp/step-up
  curl -sX POST -H "Authorization: Bearer $(key admin_jwt)" \\
    -H "X-KnoxCall-StepUp: $(cat /tmp/step-up)" {url}/admin/tenant-kms/rotate | jq
  curl -sH "Authorization: Bearer $(key admin_jwt)" {url}/admin/tenant-kms/rewraps | jq

  # fetch the certificate as the granted consumer
  grpcurl -cacert $(key ca_file) -cert $(key client_cert_file) -key $(key client_key_file) \\
    -d '{{"tenant_id": "{credentials.tenant_id}", "name": "{CERTIFICATE_NAME}"}}' \\
    {credentials.grpc.secrets} coffer.secrets.v1.SecretsService/AccessSecret
"""
