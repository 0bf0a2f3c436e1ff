"""`snp-router asyncapi`: what parties read and write, for their tools."""

from __future__ import annotations

import json
from typing import Final

import typer

from router.asyncapi_document import BrokerAccess, asyncapi_document
from router.cli.session import session_of
from router.log.url import KAFKA
from router.settings import Settings

SECURITY: Final = {"SCRAM-SHA-512": "scramSha512", "SCRAM-SHA-256": "scramSha256", "PLAIN": "plain"}
"""Kafka's names of ways to log in, and AsyncAPI's."""


def asyncapi(context: typer.Context) -> None:
    """Print an AsyncAPI 3 document, as JSON, of the topics that parties use, with every field of what is on them.

    Example:  [bold]snp-router asyncapi > asyncapi.json[/bold]

    Made from the schemas and the settings: brokers (--log), how parties log in, where they find schemas
    (`registry.public_url`).
    """
    typer.echo(json.dumps(asyncapi_document(_brokers(session_of(context).settings)), indent=2, ensure_ascii=False))


def _brokers(settings: Settings) -> BrokerAccess | None:
    if not settings.log.startswith(KAFKA):
        return None
    from router.log.kafka.settings import bootstrap_of, kafka_settings

    kafka = kafka_settings(settings.kafka)
    security = SECURITY[kafka.sasl_mechanism] if kafka.sasl_username else "X509" if kafka.ssl_certfile else None
    registry = settings.registry
    addresses = tuple(bootstrap_of(settings.log).split(","))
    return BrokerAccess(addresses, kafka.ssl_cafile is not None, security, registry.public_url or registry.url)
