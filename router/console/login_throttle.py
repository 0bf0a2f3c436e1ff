"""Slows the guessing of passwords, and locks nobody out.

Wrong passwords count by address, and by name only for addresses that never logged in under it. So whoever guesses from
elsewhere does not keep a user from logging in where the user always does.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

WINDOW_SECONDS: Final = 60.0
MOST_BY_ADDRESS: Final = 20
"""Wrong passwords of one address within the window; further attempts are refused unheard."""
MOST_BY_NAME: Final = 5
"""Likewise for one name, of all addresses that never logged in under it."""
MOST_AUDITED: Final = 60
"""Refusals that are audited within the window, each name and address once: a flood must not fill the audit."""
IPV6_PREFIX: Final = 64
"""A subscriber's part of an IPv6 address; one machine may use any address in it."""
MOST_KEYS: Final = 10_000
"""More than can be tried within the window: checking a password takes tens of milliseconds of a core."""


class RecentCount:
    """Counts events by key within the window."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def add(self, key: str) -> None:
        times = self._times.setdefault(key, deque(maxlen=self._limit))
        times.append(time.monotonic())
        self._times.move_to_end(key)
        while len(self._times) > MOST_KEYS:
            self._times.popitem(last=False)

    def is_reached(self, key: str) -> bool:
        times = self._times.get(key)
        return times is not None and len(times) == self._limit and time.monotonic() - times[0] < WINDOW_SECONDS


class LoginThrottle:
    def __init__(self) -> None:
        self._by_address = RecentCount(MOST_BY_ADDRESS)
        self._by_name = RecentCount(MOST_BY_NAME)
        self._audited = RecentCount(MOST_AUDITED)
        self._audited_pair = RecentCount(1)

    def reason_against(self, name: str, address: str, *, is_known: bool) -> str | None:
        """Reason to refuse an attempt unheard. `is_known`: this address has logged in under this name before."""
        if self._by_address.is_reached(network_of(address)):
            return "too many wrong passwords from this address: wait a minute"
        if not is_known and self._by_name.is_reached(name):
            return "too many wrong passwords for this name: wait a minute, or log in where you did before"
        return None

    def failed(self, name: str, address: str, *, is_known: bool) -> None:
        """Count a wrong password."""
        self._by_address.add(network_of(address))
        if not is_known:
            self._by_name.add(name)

    def is_to_be_audited(self, name: str, address: str) -> bool:
        """Tell whether this refusal is to be audited, and count it then."""
        pair = f"{network_of(address)} {name}"
        if self._audited_pair.is_reached(pair) or self._audited.is_reached(""):
            return False
        self._audited_pair.add(pair)
        self._audited.add("")
        return True


def network_of(address: str) -> str:
    """The part of an address that one machine can't change: all of IPv4's, the first 64 bits of IPv6's."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address  # of no network: a socket of this machine
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ip_network((ip.packed, IPV6_PREFIX), strict=False))
    return str(ip)
