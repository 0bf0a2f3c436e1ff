"""Avro binary, compiled from a schema once: straight-line Python is written for each record, as `dataclasses` does.

For our records (many nullable strings, mostly the same ones) this is many times as fast as a general writer, which
looks for the right branch of each union anew: a vessel's name or a code is looked up with the bytes it makes. Covers
what `schemas/` uses: records, arrays, maps, `["null", X]`, strings, bytes, booleans, ints and longs. Tests hold it
against fastavro, byte for byte.
"""

from router.avro.compiled import Encode, decode_long, encode_long
from router.avro.decoders import Builder, Decode, decoder
from router.avro.encoders import EncodeFields, encoder, fields_encoder

__all__ = [
    "Builder",
    "Decode",
    "Encode",
    "EncodeFields",
    "decode_long",
    "decoder",
    "encode_long",
    "encoder",
    "fields_encoder",
]
