"""What parties read and write, as an AsyncAPI 3 document: made from the published schemas and the settings.

The document describes the router, as that specification wants it: what it `send`s, a party reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from router import topics
from router.codec import NOTICE_KINDS, raw_schema

ASYNCAPI_VERSION: Final = "3.0.0"
BINDING_VERSION: Final = "0.5.0"
AVRO_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
CONTENT_TYPE: Final = "avro/binary"

Datum = dict[str, Any]


class Brokers(NamedTuple):
    """Where and how a party connects."""

    addresses: tuple[str, ...]
    tls: bool
    security: str | None
    """A security scheme as AsyncAPI names it: `scramSha512`, `scramSha256`, `plain`, `X509`. None: no log-in."""
    schema_registry_url: str | None


class _Channel(NamedTuple):
    """A topic, or one for each party."""

    address: str
    action: str
    """What the router does."""
    schemas: tuple[str, ...]
    description: str
    key: str
    """What a record's key is."""


_CHANNELS: Final[Mapping[str, _Channel]] = {
    "notices": _Channel(
        topics.PARTY_PREFIX + "{scac}",
        "send",
        NOTICE_KINDS,
        "What one party is told: every notice once, in order per bill. Only that party may read it. The header `kind` "
        "says hold, change or release without decoding. Read with isolation.level=read_committed.",
        "The bill: its issuer's SCAC padded to four places, then its number. Of a vessel's own event: the vessel.",
    ),
    "feedStatus": _Channel(
        topics.FEED_STATUS,
        "send",
        ("feed-status",),
        "Whether CBP's systems and ports are talking to us. Every party may read it. No news is not clearance.",
        "What the status is of.",
    ),
    "requests": _Channel(
        topics.REQUEST_PREFIX + "{scac}",
        "receive",
        ("request",),
        "What one party asks for. Only that party may write it, and not more often than its limit allows.",
        "The request's id.",
    ),
}

_PARAMETERS: Final = {
    "scac": {
        "description": "The SCAC that the party is registered under, not one of its aliases.",
        "examples": ["SLTC"],
    }
}


def asyncapi_document(brokers: Brokers | None) -> Datum:
    """Ready to be written as JSON. Without `brokers` (the log is a file) it names no servers."""
    servers = _servers(brokers) if brokers else {}
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "snp-router",
            "version": version("snp-router"),
            "description": "Who must know of U.S. Customs' holds and releases on a shared ship, told on a topic each.",
        },
        "defaultContentType": CONTENT_TYPE,
        **({"servers": servers} if servers else {}),
        "channels": {name: _channel(channel) for name, channel in _CHANNELS.items()},
        "operations": {name: _operation(name, channel) for name, channel in _CHANNELS.items()},
        "components": {
            "messages": {
                schema: _message(schema, channel) for channel in _CHANNELS.values() for schema in channel.schemas
            },
            **({"securitySchemes": {"login": {"type": brokers.security}}} if brokers and brokers.security else {}),
        },
    }


def _servers(brokers: Brokers) -> Datum:
    registry = {"schemaRegistryUrl": brokers.schema_registry_url, "schemaRegistryVendor": "confluent"}
    return {
        f"broker-{number}": {
            "host": address,
            "protocol": "kafka-secure" if brokers.tls else "kafka",
            **({"security": [_reference("components", "securitySchemes", "login")]} if brokers.security else {}),
            **({"bindings": _kafka(registry)} if brokers.schema_registry_url else {}),
        }
        for number, address in enumerate(brokers.addresses, 1)
    }


def _channel(channel: _Channel) -> Datum:
    return {
        "address": channel.address,
        "description": channel.description,
        "messages": {schema: _reference("components", "messages", schema) for schema in channel.schemas},
        **({"parameters": _PARAMETERS} if "{" in channel.address else {}),
        "bindings": _kafka({"partitions": 1}),
    }


def _operation(name: str, channel: _Channel) -> Datum:
    return {
        "action": channel.action,
        "channel": _reference("channels", name),
        "messages": [_reference("channels", name, "messages", schema) for schema in channel.schemas],
    }


def _message(name: str, channel: _Channel) -> Datum:
    schema = raw_schema(name)
    binding = {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}
    key = {"type": "string", "description": channel.key}
    return {
        "name": schema["name"],
        "summary": schema["doc"],
        "contentType": CONTENT_TYPE,
        **({"headers": _kind_header(name)} if name in NOTICE_KINDS else {}),
        "payload": {"schemaFormat": AVRO_FORMAT, "schema": schema},
        "bindings": _kafka({"key": key, **binding}),
    }


def _kind_header(kind: str) -> Datum:
    return {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "const": kind}}}


def _kafka(binding: Mapping[str, Any]) -> Datum:
    return {"kafka": {**binding, "bindingVersion": BINDING_VERSION}}


def _reference(*path: str) -> Datum:
    return {"$ref": "#/" + "/".join(path)}
