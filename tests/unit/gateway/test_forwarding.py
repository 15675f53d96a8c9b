"""What breaks when somebody chooses the address that the audit shows, or a proxy's stands for everybody's."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.forwarding import TrustedProxies

PROXIES = TrustedProxies(
    (ip_network("10.1.0.0/16"), ip_network("192.0.2.7/32"), ip_network("2001:db8:1::/48"))
)


def client(peer: str, *lines: str, proxies: TrustedProxies = PROXIES) -> str:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return proxies.client_ip(peer, [(b"x-real-ip", b"8.8.8.8"), *headers])


@pytest.mark.parametrize(
    ("peer", "lines", "found"),
    [
        ("10.1.0.1", ["203.0.113.9"], "203.0.113.9"),
        # Two proxies in a row, and what the client made up before that.
        ("10.1.0.1", ["8.8.8.8, 203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        ("10.1.0.1", ["8.8.8.8,10.1.0.9", "203.0.113.9", "192.0.2.7"], "203.0.113.9"),
        ("10.1.0.1", ["no address, 203.0.113.9"], "203.0.113.9"),
        # A client inside of the trusted networks.
        ("10.1.0.1", ["10.1.3.4, 10.1.0.2"], "10.1.3.4"),
        ("2001:db8:1::1", ["2001:DB8:2:0:0::9"], "2001:db8:2::9"),
        ("::ffff:10.1.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("10.1.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.1.0.1", ["[2001:db8:2::9]:4711"], "2001:db8:2::9"),
        ("10.1.0.1", ["[2001:db8:2::9]"], "2001:db8:2::9"),
    ],
)
def test_a_trusted_proxy_is_believed(peer: str, lines: list[str], found: str) -> None:
    assert client(peer, *lines) == found


@pytest.mark.parametrize("peer", ["203.0.113.1", "2001:db8:2::1", "::ffff:203.0.113.1", ""])
def test_anybody_else_is_not(peer: str) -> None:
    assert client(peer, "8.8.8.8") == peer
    assert client(peer, "8.8.8.8, 10.1.0.1") == peer


def test_without_trusted_proxies_nobody_is() -> None:
    assert client("10.1.0.1", "8.8.8.8", proxies=TrustedProxies()) == "10.1.0.1"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "unknown",
        "203.0.113.9, ",
        "203.0.113.9, _hidden",
        "203.0.113.9;10.1.0.2",
        "203.0.113.9:x",
        "[2001:db8:2::9]x",
        "fe80::1%eth0",
        "3405803785",
        "203.0.113.9 8.8.8.8",
        "2001:db8::\xe9",
        "no address, 10.1.0.2",
        "1" * 60_000,
    ],
)
def test_what_is_no_address_leaves_the_peers(line: str) -> None:
    assert client("10.1.0.1", line) == "10.1.0.1"


def test_no_header_leaves_the_peers() -> None:
    assert client("10.1.0.1") == "10.1.0.1"
