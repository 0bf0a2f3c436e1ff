"""One attempt to post one notice, and its outcome.

The address is checked where the socket is made, so the check covers the very address that is connected to. However a
name resolves and an address is written, only public addresses and allowed networks are contacted.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from router.errors import UsageError
from router.webhooks.signing import SigningSecrets
from router.webhooks.webhook_settings import WebhookSettings

DELIVERED, REFUSED, DOWN, GONE = "DELIVERED", "REFUSED", "DOWN", "GONE"
"""REFUSED: the endpoint answered, but refused this notice. DOWN: it did not answer, or asked for another time. GONE: it
answered 410, for good."""

NOT_NOW: Final = frozenset({408, 425, 429})
ANSWER_BYTES: Final = 4096
"""Bytes of an answer that are read."""
SHOWN_CHARACTERS: Final = 200
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
"""A longer `Retry-After` is cut to this."""
NAT64: Final = ip_network("64:ff9b::/96")
UNICAST: Final = ip_network("2000::/3")
"""IPv6 assigned to the public internet (RFC 4291). Outside lie, among others, old and local notations of an IPv4
address, which Python takes for public ones."""
NOT_PUBLIC: Final = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Reserved for protocols, relays and examples (RFC 6890, 7526, 9637); not every Python knows them."""
AGENT: Final = "snp-router (webhooks)"
INVALID_URL: Final = "webhook_url is not a valid URL"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Outcome(NamedTuple):
    kind: str
    """`DELIVERED`, `REFUSED`, `DOWN` or `GONE`."""
    detail: str = ""
    """The fault, as a phrase; never holds the URL, which may hold a token."""
    retry_after: float | None = None
    """Seconds."""


class Sender:
    """Made by `open_sender`."""

    def __init__(self, session: aiohttp.ClientSession, settings: WebhookSettings) -> None:
        self._session = session
        self.settings = settings
        self.secrets = SigningSecrets(settings)

    async def post(self, url: str, body: str, headers: dict[str, str]) -> Outcome:
        """Post once. Raises nothing for what the endpoint does."""
        try:
            is_encrypted = urlsplit(url).scheme == "https"
        except ValueError:  # brackets without an address, letters that normalise to a slash
            return Outcome(DOWN, INVALID_URL)
        if not is_encrypted and not self.settings.allow_http:
            return Outcome(DOWN, "webhook_url is not https (setting webhooks.allow_http)")
        sent = headers | {"content-type": "application/json", "user-agent": AGENT}
        try:
            async with self._session.post(url, data=body.encode(), headers=sent, allow_redirects=False) as response:
                return await _outcome_of(response)
        except TimeoutError:
            return Outcome(DOWN, f"no answer within {self.settings.attempt_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(DOWN, _phrase(error))


@asynccontextmanager
async def open_sender(settings: WebhookSettings) -> AsyncIterator[Sender]:
    """Open a sender without proxy, cookies, redirects and decompression. Raises UsageError for an unusable ca_file."""
    connector = aiohttp.TCPConnector(
        ssl=_trust(settings),
        socket_factory=guarded_socket(settings.allowed_networks),
        limit=0,  # each party has its own limit, so that none waits for another's connections
        keepalive_timeout=30,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=settings.attempt_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("accept-encoding",),
    ) as session:
        yield Sender(session, settings)


def _trust(settings: WebhookSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:  # includes ssl.SSLError
            raise UsageError(f"cannot use webhooks.ca_file {settings.ca_file}: {error}") from error
    return context


def guarded_socket(allowed: Sequence[Network]) -> Callable[[Any], socket.socket]:
    def make(address_info: Any) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if not is_allowed(ip_address(str(address[0]).partition("%")[0]), allowed):
            raise OSError(errno.EACCES, f"{address[0]} is not a public address (setting webhooks.allowed_networks)")
        return socket.socket(family, kind, protocol)

    return make


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """True for a public address and for one in an allowed network. An IPv4 address within IPv6 counts as itself."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, IPv6Address) and (inner := _inner(address)) is not None:
        return is_allowed(inner, allowed)
    if any(address in network for network in NOT_PUBLIC) or (address.version == 6 and address not in UNICAST):
        return False
    return address.is_global and not address.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]


async def _outcome_of(response: aiohttp.ClientResponse) -> Outcome:
    status = response.status
    if 200 <= status < 300:
        return Outcome(DELIVERED)
    answer = _readable(await response.content.read(ANSWER_BYTES))
    detail = f"answered {status}" + (f": {answer}" if answer else "")
    if status == 410:
        return Outcome(GONE, detail)
    if 300 <= status < 400:
        return Outcome(DOWN, f"answered {status}: redirects are not followed")
    if status >= 500 or status in NOT_NOW:
        return Outcome(DOWN, detail, _retry_after(response.headers.get("retry-after", "")))
    return Outcome(REFUSED, detail)


def _retry_after(header: str) -> float | None:
    return min(float(header), LONGEST_RETRY_AFTER_SECONDS) if header.isdecimal() and len(header) < 9 else None


def _readable(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    return "".join(char for char in text if char.isprintable())[:SHOWN_CHARACTERS]


def _phrase(error: Exception) -> str:
    cause = getattr(error, "os_error", None) or getattr(error, "certificate_error", None)
    if cause is None and isinstance(error, aiohttp.InvalidURL):
        return INVALID_URL
    return f"{type(cause or error).__name__}: {getattr(cause, 'strerror', None) or cause or error}"[:SHOWN_CHARACTERS]
