"""Which URLs the command line sends credentials and values to, and believes keys from."""

from __future__ import annotations

from ipaddress import ip_address

import httpx


def is_private(url: str) -> bool:
    """Whether nobody on the way can read or change what goes there: https, or http on this machine.

    That is `localhost` and loopback addresses, and no other names. False for what is no URL.
    """
    try:
        # By the parser that makes the request: two could take different parts for the host.
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    if not parsed.host:
        return False
    return parsed.scheme == "https" or (parsed.scheme == "http" and _loopback(parsed.host))


def uses_proxies(url: str) -> bool:
    """Whether a proxy of the environment may be used: not for http, which it could read, on this machine."""
    return httpx.URL(url).scheme == "https"


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
