"""Reads a party's notices with confluent-kafka and its own Avro deserializer, for ever or the number given, and prints
each as a line of JSON. Stock parts only: nothing of the router is installed here."""

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
    """What to do is safe to decide by the kind alone. The same `notice_id` again is the same notice again."""
    if kind == "Hold":
        pass  # stop the box; with notice["do_not_load"], take it off the loading list
    elif kind == "Change":
        pass  # nothing that was stopped may go, unless notice["authorises"] names something
    elif kind == "Release":
        pass  # the whole bill may be delivered at its place now
    print(json.dumps({"type": kind, "notice": notice}, default=str), flush=True)  # noqa: T201


def settings(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "bootstrap.servers": options.broker,
        "security.protocol": "SASL_SSL" if options.ca_file else "SASL_PLAINTEXT",
        **({"ssl.ca.location": str(options.ca_file)} if options.ca_file else {}),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": f"snp.{options.party}",
        "sasl.password": options.password_file.read_text().strip(),
        "group.id": options.group,
        # Only what the router has committed, from the oldest notice on.
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        # Offsets are committed in the background, but only of notices that were handled: see store_offsets below.
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
    parser.add_argument("--group", required=True, help="begins with snp.<SCAC>.")
    parser.add_argument("--registry", required=True, help="http://host:port of the schema registry")
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--ca-file", type=Path, help="PEM; given: TLS")
    parser.add_argument("--number", type=int, help="stop after so many")
    options = parser.parse_args()
    print(f"reading the notices of {options.party}; Ctrl-C stops", file=sys.stderr)  # noqa: T201
    with suppress(KeyboardInterrupt):
        read(options)


if __name__ == "__main__":
    main()
