"""Our compiled Avro against fastavro, byte for byte, on every schema there is."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from typing import Any

import fastavro
import pytest
from fastavro.utils import generate_many
from hypothesis import given
from hypothesis import strategies as st

from router import avro, codec
from router.errors import InputError

NAMES = sorted(codec.schema_ids())


def plain(value: Any) -> Any:
    """Arrays as tuples, as our decoder gives them."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return tuple(plain(part) for part in value) if isinstance(value, list) else value


def samples(name: str) -> list[Any]:
    random.seed(name)
    schema = codec.raw_schema(name)
    return list(generate_many(fastavro.parse_schema(without_logical_types(schema)), 20))


def without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return [without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def by_fastavro(name: str, datum: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(without_logical_types(codec.raw_schema(name))), datum)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_writes_the_bytes_that_fastavro_writes_and_reads_them_back(name: str) -> None:
    for datum in samples(name):
        written = codec.encode(name, datum)
        assert written == codec.header(name) + by_fastavro(name, datum)
        assert codec.decode(written) == (name, plain(datum))


@pytest.mark.parametrize("name", NAMES)
def test_a_record_cut_anywhere_is_an_input_error_and_nothing_else(name: str) -> None:
    written = codec.encode(name, samples(name)[0])
    for end in range(0, len(written), max(1, len(written) // 50)):
        with pytest.raises(InputError):
            codec.decode(written[:end])
    with pytest.raises(InputError):
        codec.decode(written + b"\x00")


@pytest.mark.parametrize("kind", sorted(codec.NAME_OF, key=lambda kind: kind.__name__))
def test_a_values_fields_are_the_records_fields_in_the_same_order(kind: Any) -> None:
    schema = codec.raw_schema(codec.NAME_OF[kind])
    assert list(kind._fields) == [field["name"] for field in schema["fields"]]


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_long_comes_back(number: int) -> None:
    encoded = avro.encode_long(number)
    assert avro.decode_long(encoded, 0) == (number, len(encoded))


@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_bytes_that_are_no_record_raise_an_input_error_and_nothing_else(name: str, noise: bytes) -> None:
    with suppress(InputError):
        codec.decode(codec.header(name) + noise)


def test_a_number_of_more_than_64_bits_is_refused_before_it_grows() -> None:
    for number in (2**63 - 1, -(2**63)):
        assert avro.decode_long(avro.encode_long(number), 0)[0] == number
    for beyond in (avro.encode_long(2**63), b"\xff" * 4_000_000 + b"\x01"):
        with pytest.raises(ValueError, match="64 bits"):
            avro.decode_long(beyond, 0)
