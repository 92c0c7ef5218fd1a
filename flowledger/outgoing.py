"""The way out: which hosts that a member of an organisation names may be called from here.

A name that an organisation enters (a mailbox, later a webhook) must not reach what only this machine and its network
can reach: everything that is not a public address is refused, unless the operator names its network in
OUTGOING_ALLOWED_NETWORKS. The caller connects to the addresses that were checked, not to the name again, which could
mean another address by then.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

from flowledger.errors import InvalidInput

Address = IPv4Address | IPv6Address


class HostRefused(InvalidInput):
    """The host is not one that may be called."""

    code = "host_refused"


def resolve_public(host: str, port: int) -> list[str]:
    """The addresses to connect to, in the order of the system's preference.

    Raises HostRefused for a name that is unknown, or that has an address which is not public and in no allowed network:
    one such address among public ones is enough, because a name that mixes them is made to deceive.
    Asks the resolver: never inside a transaction.
    """
    name = host.strip().rstrip(".")
    if not name or not 1 <= port <= 65_535 or any(not char.isprintable() or char.isspace() for char in name):
        raise _refused("Give the name of a host, for example imap.example.com, and a port from 1 to 65535.")
    try:
        found = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(f"There is no host '{name[:100]}'; look at the spelling.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise _refused(f"The host '{name[:100]}' has no address.")
    for address in addresses:
        if not may_call(address):
            raise _refused(
                f"The host '{name[:100]}' is not on the public Internet, so it is not called from here. The operator "
                "can allow its network in OUTGOING_ALLOWED_NETWORKS."
            )
    return addresses


def may_call(address: str) -> bool:
    """Whether an address is public, or in a network that the operator allowed."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    networks = [ip_network(each, strict=False) for each in settings.OUTGOING_ALLOWED_NETWORKS]
    if any(parsed in network for network in networks if network.version == parsed.version):
        return True
    return all(each.is_global and not each.is_multicast for each in _meant(parsed))


def _meant(address: Address) -> list[Address]:
    """The address and the IPv4 address that it wraps, where it does (mapped, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return [address]
    wrapped: list[Address] = [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        wrapped.append(address.sixtofour)
    if address.teredo is not None:
        wrapped.append(address.teredo[1])
    if address in ip_network("64:ff9b::/96"):
        wrapped.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return wrapped


def _refused(sentence: str) -> HostRefused:
    return HostRefused(sentence, fields={"host": [sentence]})
