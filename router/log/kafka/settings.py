"""How we talk to Kafka: addresses from the URL, the rest from settings, validated before anything connects."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from router.errors import UsageError

DEFAULT_PORT = 9092


class KafkaSettings(BaseModel):
    """Everything but the address. Units are in the names; the defaults suit three brokers with their own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replication_factor: int = Field(3, ge=1)
    """Of the topics that we create."""
    minimum_in_sync_replicas: int | None = Field(None, ge=1)
    """Of the topics that we create; None: the brokers' own default."""
    message_limit_bytes: int = Field(4_000_000, ge=4_000_000)
    """The largest batch our topics take; Kafka's default is a little under 1 MB. No less: all that the router makes of
    what it is fed is bounded so that it fits, and a record that doesn't would stop a task for ever."""

    start_deadline_seconds: float = Field(30.0, gt=0)
    """For connecting, fencing a former owner and finding out where a log ends."""
    commit_deadline_seconds: float = Field(12.0, gt=0)
    """Longer than a failover of a broker takes, or each one costs the task a restore."""
    append_deadline_seconds: float = Field(30.0, gt=0)
    close_deadline_seconds: ClassVar[float] = 5.0
    """For letting tasks finish what they are committing, when they are taken away or we stop."""

    session_timeout_ms: int = Field(6_000, ge=500)
    """A worker that died is noticed after this: so long a do-not-load of its tasks waits. The least that brokers allow
    unless they are told otherwise."""
    heartbeat_interval_ms: int = Field(1_500, ge=100)
    rebalance_timeout_ms: ClassVar[int] = 20_000
    """How long the others wait for a member to join again."""
    group_instance_id: str | None = None
    """Static membership: a quick restart moves nothing, but a stop for good is noticed only after the session's
    time-out. Must be unique in the group; two processes with one id evict each other in turn."""

    retry_pause_seconds: ClassVar[float] = 0.2
    """Before a task is opened again; doubles each time, up to `longest_retry_pause_seconds`."""
    longest_retry_pause_seconds: ClassVar[float] = 10.0

    max_poll_buffer_records: int = Field(10_000, ge=100)
    """Of each input, read ahead at most about this many records for a task; then wait."""
    fetch_limit_bytes: int = Field(2_000_000, ge=100_000)
    """Of each partition in one request."""
    batch_limit_bytes: int = Field(900_000, ge=1_000)
    """Records of one partition are written in batches of at most this size."""
    refused_topic_pause_seconds: float = Field(60.0, gt=0)
    """A topic we may not write to counts as missing for so long, then it is tried again."""

    ssl_cafile: Path | None = None
    """PEM. Given: TLS."""
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    """With `ssl_certfile`: we show a certificate (mTLS)."""
    ssl_key_password: SecretStr | None = None
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    """Instead of `sasl_password`: read at start, without the newline at its end."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.heartbeat_interval_ms * 2 > self.session_timeout_ms:
            raise ValueError("session_timeout_ms must be at least twice heartbeat_interval_ms")
        if self.sasl_username and not (self.sasl_password or self.sasl_password_file):
            raise ValueError("sasl_username needs sasl_password or sasl_password_file")
        if self.ssl_certfile and not self.ssl_cafile:
            raise ValueError("ssl_certfile needs ssl_cafile: name the authority of the brokers' certificates")
        return self

    @property
    def request_timeout_ms(self) -> int:
        """Shorter than the commit's deadline, so that a request can be repeated within it."""
        return int(self.commit_deadline_seconds * 1000 * 5 / 6)

    @property
    def transaction_timeout_ms(self) -> int:
        """Longer than the commit's deadline: the router must give a transaction up before the brokers end it."""
        return int(self.commit_deadline_seconds * 1000 * 5 / 4)

    def connection(self) -> dict[str, Any]:
        """What every aiokafka client is told of security and time-outs. Raises UsageError if a file can't be read."""
        protocol = ("SASL_" if self.sasl_username else "") + ("SSL" if self.ssl_cafile else "PLAINTEXT")
        told: dict[str, Any] = {
            "security_protocol": protocol,
            "request_timeout_ms": self.request_timeout_ms,
            "retry_backoff_ms": 20,
            "metadata_max_age_ms": 30_000,
        }
        if self.ssl_cafile:
            told["ssl_context"] = self._ssl_context()
        if self.sasl_username:
            told |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self._password(),
            }
        return told

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            if self.ssl_certfile:
                password = self.ssl_key_password.get_secret_value() if self.ssl_key_password else None
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile, password)
        except OSError as error:  # ssl.SSLError is one
            files = [str(file) for file in (self.ssl_cafile, self.ssl_certfile, self.ssl_keyfile) if file]
            raise UsageError(f"the TLS files {', '.join(files)} can't be used: {error}") from error
        return context

    def _password(self) -> str:
        if self.sasl_password:
            return self.sasl_password.get_secret_value()
        assert self.sasl_password_file is not None
        try:
            return self.sasl_password_file.read_text().rstrip("\r\n")
        except OSError as error:
            raise UsageError(f"sasl_password_file can't be read: {error}") from error


def kafka_settings(given: Mapping[str, object]) -> KafkaSettings:
    """Raises UsageError with all that is wrong; the values of secrets are not in it."""
    try:
        return KafkaSettings.model_validate(given)
    except ValidationError as error:
        faults = [".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors()]
        raise UsageError("settings of the Kafka log: " + "; ".join(fault.lstrip(": ") for fault in faults)) from None


def bootstrap_of(url: str) -> str:
    """`kafka://one:9092,two` is `one:9092,two:9092`. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme != "kafka" or not parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(f"{url.partition('@')[2] or url} is not a Kafka log: write kafka://host:port[,host:port...]")
    if "@" in parts.netloc:
        raise UsageError("user and password don't belong in the log's URL: set sasl_username and sasl_password_file")
    hosts = parts.netloc.split(",")
    return ",".join(host if ":" in host else f"{host}:{DEFAULT_PORT}" for host in hosts)
