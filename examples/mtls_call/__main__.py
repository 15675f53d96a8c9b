"""`python -m examples.mtls_call NAME URL`: what the partner answers, once every `--every` seconds."""

from __future__ import annotations

import argparse
import os
import sys
import time

from coffer_client import ClientTls, SyncCofferClient
from examples.mtls_call.partner import Partner


def main() -> int:
    """Call until told to stop, or `--times`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", help="the name of the certificate in Coffer")
    parser.add_argument("url", help="https://...")
    parser.add_argument("--ca", help="PEM file of the CA of the partner's server")
    parser.add_argument("--times", type=int, help="default: until interrupted")
    parser.add_argument("--every", type=float, default=60.0, help="seconds between calls")
    asked = parser.parse_args()
    read = os.environ.__getitem__
    tls = ClientTls(read("COFFER_CLIENT_CERT"), read("COFFER_CLIENT_KEY"), read("COFFER_CA"))
    with SyncCofferClient(
        read("COFFER_TARGET"), tls=tls, tenant_id=read("COFFER_TENANT_ID")
    ) as coffer:
        partner = Partner(coffer, asked.certificate, asked.url, ca_file=asked.ca)
        done = 0
        while True:
            sys.stdout.write(f"{partner.get()} (version {partner.version})\n")
            done += 1
            if done == asked.times:
                return 0
            time.sleep(asked.every)


if __name__ == "__main__":
    sys.exit(main())
