"""`python -m examples.mtls_call NAME URL`: what the partner answers, once every `--every` seconds.

Exit status: 0 done, 1 the partner or Coffer refused or is away (the text says which), 2 a wrong setting.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time

from coffer_client import ClientTls, CofferClientError, RequestNotValidError, SyncCofferClient
from examples.mtls_call.partner import Partner, PartnerError

SETTINGS = (
    "COFFER_TARGET",
    "COFFER_TENANT_ID",
    "COFFER_CLIENT_CERT",
    "COFFER_CLIENT_KEY",
    "COFFER_CA",
)


def main() -> int:
    """Call until told to stop, or `--times`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("certificate", help="the name of the certificate in Coffer")
    parser.add_argument("url", help="https://...")
    parser.add_argument("--ca", help="PEM file of the CA of the partner's server")
    parser.add_argument("--times", type=int, help="default: until interrupted")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between calls")
    parser.add_argument("--wait", type=float, default=10.0, help="seconds for Coffer to answer")
    asked = parser.parse_args()
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing:
        parser.error(f"not set: {', '.join(missing)}")
    target, tenant_id, *files = (os.environ[name] for name in SETTINGS)
    try:
        coffer = SyncCofferClient(
            target, tls=ClientTls(*files), tenant_id=tenant_id, timeout=asked.wait
        )
        partner = Partner(coffer, asked.certificate, asked.url, ca_file=asked.ca)
    except (ValueError, RequestNotValidError) as error:
        parser.error(str(error))
    with coffer:
        return _calls(partner, asked.times, asked.every)


def _calls(partner: Partner, times: int | None, every: float) -> int:
    done = 0
    while True:
        try:
            body = partner.get()
        except CofferClientError as error:
            sys.stderr.write(f"no certificate from Coffer: {error} ({error.code})\n")
            return 1
        except (PartnerError, OSError, http.client.HTTPException) as error:
            sys.stderr.write(f"the call failed: {error}\n")
            return 1
        sys.stdout.write(f"{body} (version {partner.version})\n")
        sys.stdout.flush()
        done += 1
        if done == times:
            return 0
        time.sleep(every)


if __name__ == "__main__":
    sys.exit(main())
