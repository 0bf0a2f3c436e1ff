"""Prints a party's notices as lines of JSON: without end, or as many as asked for.

It uses confluent-kafka and its Avro deserializer only; the router's package is not needed.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

TYPES = {b"hold": "Hold", b"change": "Change", b"release": "Release"}


def handle(kind: str, notice: dict[str, Any]) -> None:
    """Handle one notice. Its kind alone is enough to act on safely; a `notice_id` seen before is a duplicate."""
    is_test = "TEST" in notice["flags"]
    if is_test:
        pass  # a sample, or a notice of a test installation: real cargo must not follow it
    elif kind == "Hold":
        pass  # stop the cargo; if notice["do_not_load"], take it off the loading list
    elif kind == "Change":
        pass  # stopped cargo stays stopped, except for what notice["authorises"] allows
    elif kind == "Release":
        pass  # the whole bill may be delivered now
    for _container in () if is_test else notice["containers"]:
        pass  # a gate lets out containers: see their stopped, released and authorises
    print(json.dumps({"type": kind, "test": is_test, "notice": notice}, default=str), flush=True)  # noqa: T201


def settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": options.broker,
        "security.protocol": "SASL_SSL" if options.ca_file else "SASL_PLAINTEXT",
        **({"ssl.ca.location": str(options.ca_file)} if options.ca_file else {}),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": f"snp.{options.party}",
        "sasl.password": options.password_file.read_text().strip(),
        "group.id": options.group,
        # Only notices that the router has committed, starting with the oldest.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # Offsets are committed in the background, but only after their notices were handled: see store_offsets below.
        "enable.auto.offset.store": False,
    }


def read(options: argparse.Namespace) -> None:
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": options.registry}))
    consumer = Consumer(settings(options))
    consumer.subscribe([f"snp.party.{options.party}"])
    handled = 0
    try:
        while handled != options.number:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            notice = deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
            handle(TYPES[dict(message.headers())["kind"]], notice)
            consumer.store_offsets(message)
            handled += 1
    finally:
        consumer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("broker", help="host:port")
    parser.add_argument("party", help="your SCAC")
    parser.add_argument("--group", required=True, help="consumer group; begins with snp.<SCAC>.")
    parser.add_argument("--registry", required=True, help="http://host:port of the schema registry")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--ca-file", type=Path, help="PEM; turns TLS on")
    parser.add_argument("--number", type=int, help="stop after this number of notices")
    options = parser.parse_args()
    print(f"reading the notices of {options.party}; Ctrl-C stops", file=sys.stderr)  # noqa: T201
    with suppress(KeyboardInterrupt):
        read(options)


if __name__ == "__main__":
    main()
