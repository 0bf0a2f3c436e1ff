"""The AsyncAPI 3 document of the topics that other programs read and write, made from published schemas and settings.

The specification describes the router's side: where the router's action is `send`, the other program reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from router import topics
from router.codec import NOTICE_KINDS
from router.codec.published import raw_schema

ASYNCAPI_VERSION: Final = "3.0.0"
BINDING_VERSION: Final = "0.5.0"
AVRO_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
CONTENT_TYPE: Final = "avro/binary"

JsonObject = dict[str, Any]


class BrokerConnection(NamedTuple):
    """The brokers' addresses, and the security with which a party connects to them."""

    addresses: tuple[str, ...]
    tls: bool
    security: str | None
    """AsyncAPI's security scheme: `scramSha512`, `scramSha256`, `plain` or `X509`. None: brokers ask for no log-in."""
    schema_registry_url: str | None


class _Channel(NamedTuple):
    """A topic, or one topic for each party."""

    address: str
    action: str
    """The router's."""
    schemas: tuple[str, ...]
    description: str
    key: str
    """The description of a record's key."""
    partitions: int | None = 1
    """None: the installation's own number."""


_CHANNELS: Final[Mapping[str, _Channel]] = {
    "notices": _Channel(
        topics.PARTY_PREFIX + "{party}",
        "send",
        NOTICE_KINDS,
        "A party's notices: each one once, in order per bill. Only that party may read them. The header `kind` gives "
        "hold, change or release without decoding. Read with isolation.level=read_committed.",
        "The bill: its issuer's SCAC padded to four places, then its number. For an event of a vessel: the vessel.",
    ),
    "feedStatus": _Channel(
        topics.FEED_STATUS,
        "send",
        ("feed-status",),
        "Outages of CBP's systems, of ports and of feeds. Every party may read them. No news is not clearance.",
        "The id of the outage.",
    ),
    "requests": _Channel(
        topics.REQUEST_PREFIX + "{party}",
        "receive",
        ("request",),
        "A party's requests. Only that party may write them, at most as often as its limit allows.",
        "Any or none; the router does not read it.",
    ),
    "events": _Channel(
        topics.DISPOSITIONS,
        "receive",
        ("disposition",),
        "CBP's events, from programs that feed them in; no party may write here. An event that stops is also written "
        "to cbp.urgent, both copies with the header `urgent`: 1. An event written twice counts once.",
        "The bill: its issuer's SCAC padded to four places, then its number. None for an event of a vessel.",
        partitions=None,
    ),
}

_PARAMETERS: Final = {
    "party": {
        "description": "The id under which the party is registered, not one of its aliases.",
        "examples": ["SLTC"],
    }
}


def asyncapi_document(brokers: BrokerConnection | None) -> JsonObject:
    """The document as JSON values. Without `brokers` (the log is a file) it has no servers."""
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "snp-router",
            "version": version("snp-router"),
            "description": "U.S. Customs' holds and releases of cargo on shared ships, on one topic for each party.",
        },
        "defaultContentType": CONTENT_TYPE,
        **({"servers": _servers(brokers)} if brokers else {}),
        "channels": {name: _channel(channel) for name, channel in _CHANNELS.items()},
        "operations": {
            name: {
                "action": channel.action,
                "channel": _reference("channels", name),
                "messages": [_reference("channels", name, "messages", schema) for schema in channel.schemas],
            }
            for name, channel in _CHANNELS.items()
        },
        "components": {
            "messages": {
                schema: _message(schema, channel) for channel in _CHANNELS.values() for schema in channel.schemas
            },
            **({"securitySchemes": {"login": {"type": brokers.security}}} if brokers and brokers.security else {}),
        },
    }


def _servers(brokers: BrokerConnection) -> JsonObject:
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


def _channel(channel: _Channel) -> JsonObject:
    return {
        "address": channel.address,
        "description": channel.description,
        "messages": {schema: _reference("components", "messages", schema) for schema in channel.schemas},
        **({"parameters": _PARAMETERS} if "{" in channel.address else {}),
        "bindings": _kafka({"partitions": channel.partitions} if channel.partitions is not None else {}),
    }


def _message(name: str, channel: _Channel) -> JsonObject:
    schema = raw_schema(name)
    kind = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "const": name}}}
    key = {"type": "string", "description": channel.key}
    return {
        "name": schema["name"],
        "summary": schema["doc"],
        "contentType": CONTENT_TYPE,
        **({"headers": kind} if name in NOTICE_KINDS else {}),
        "payload": {"schemaFormat": AVRO_FORMAT, "schema": schema},
        "bindings": _kafka({"key": key, "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}),
    }


def _kafka(binding: JsonObject) -> JsonObject:
    return {"kafka": {**binding, "bindingVersion": BINDING_VERSION}}


def _reference(*path: str) -> JsonObject:
    return {"$ref": "#/" + "/".join(path)}
