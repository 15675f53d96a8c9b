"""The address of a connection, as the audit shows it."""

from __future__ import annotations

import pytest

from services.common.rpc.addresses import of_peer


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:50051", "192.0.2.7"),
        ("ipv6:[2001:db8::7]:50051", "2001:db8::7"),
        ("ipv6:%5B2001:DB8:0::7%5D:50051", "2001:db8::7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:50051", "fe80::1%eth0"),
        ("ipv6:[::ffff:192.0.2.7]:50051", "192.0.2.7"),
        ("unix:/run/coffer.sock", None),
        ("unix:", None),
        ("unix-abstract:coffer", None),
        ("ipv4:somewhere:1", None),
        ("ipv6:[x]:1", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_a_connection_without_an_address_has_none_and_no_other_has_a_port(
    peer: str, address: str | None
) -> None:
    assert of_peer(peer) == address
