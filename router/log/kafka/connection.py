"""Settings of the Kafka log: addresses from the URL, the rest validated together before anything connects."""

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
    """Everything but the address. The defaults suit three brokers with their own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replication_factor: int = Field(3, ge=1)
    """Replicas of the topics that the router creates."""
    minimum_in_sync_replicas: int | None = Field(None, ge=1)
    """`min.insync.replicas` of the topics that the router creates. None: the brokers' own default."""
    message_limit_bytes: int = Field(4_000_000, ge=4_000_000)
    """Largest batch that the router's topics take; Kafka's default is a little under 1 MB. It can't be less: the router
    bounds its records to fit it, and a larger one would stop a task for ever."""

    start_deadline_seconds: float = Field(30.0, gt=0)
    """For connecting, fencing a former owner, finding the end of a log, and appending."""
    commit_deadline_seconds: float = Field(12.0, gt=0)
    """Longer than a broker's failover takes, or each failover costs the task a restore."""
    close_deadline_seconds: ClassVar[float] = 5.0
    """For tasks to finish a commit when they move away or the process stops."""

    session_timeout_ms: int = Field(6_000, ge=500)
    """Time until a dead worker is noticed, and longest wait of a do-not-load of its tasks. Brokers allow no less than
    6 s by default."""
    rebalance_timeout_ms: ClassVar[int] = 20_000
    """Time that the others wait for a member to join again."""
    group_instance_id: str | None = None
    """Static membership: a quick restart moves no task, but a stop for good is noticed only after the session. It must
    be unique in the group: a router whose id another has gives up."""

    retry_pause_seconds: ClassVar[float] = 0.2
    """Pause before a task is opened again. It doubles each time, up to `longest_retry_pause_seconds`."""
    longest_retry_pause_seconds: ClassVar[float] = 10.0

    ssl_cafile: Path | None = None
    """PEM file of the authority. Connections use TLS if it is given."""
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    """PEM file of the key. With `ssl_certfile`, the client shows a certificate (mTLS)."""
    ssl_key_password: SecretStr | None = None
    sasl_mechanism: Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    sasl_password_file: Path | None = None
    """Instead of `sasl_password`. Read at start, without a newline at the end."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.sasl_username and not (self.sasl_password or self.sasl_password_file):
            raise ValueError("sasl_username needs sasl_password or sasl_password_file")
        if self.ssl_certfile and not self.ssl_cafile:
            raise ValueError("ssl_certfile needs ssl_cafile: name the authority of the brokers' certificates")
        return self

    @property
    def heartbeat_interval_ms(self) -> int:
        """Four heartbeats a session."""
        return self.session_timeout_ms // 4

    @property
    def request_timeout_ms(self) -> int:
        """Shorter than the commit's deadline, so that a request can be repeated within it."""
        return int(self.commit_deadline_seconds * 1000 * 5 / 6)

    @property
    def transaction_timeout_ms(self) -> int:
        """Longer than the commit's deadline: the router gives a transaction up before the brokers end it."""
        return int(self.commit_deadline_seconds * 1000 * 5 / 4)

    def connection(self) -> dict[str, Any]:
        """Return the options of every aiokafka client. Raises UsageError if a file can't be read."""
        protocol = ("SASL_" if self.sasl_username else "") + ("SSL" if self.ssl_cafile else "PLAINTEXT")
        options: dict[str, Any] = {
            "security_protocol": protocol,
            "request_timeout_ms": self.request_timeout_ms,
            "retry_backoff_ms": 20,
            "metadata_max_age_ms": 30_000,
        }
        if self.ssl_cafile:
            options["ssl_context"] = self._ssl_context()
        if self.sasl_username:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self._password(),
            }
        return options

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
    """Validate settings. Raises UsageError with everything that is wrong, without the values of secrets."""
    try:
        return KafkaSettings.model_validate(given)
    except ValidationError as error:
        faults = [".".join(map(str, fault["loc"])) + ": " + fault["msg"] for fault in error.errors()]
        raise UsageError("settings of the Kafka log: " + "; ".join(fault.lstrip(": ") for fault in faults)) from None


def bootstrap_of(url: str) -> str:
    """Return `one:9092,two:9092` for `kafka://one:9092,two`. Raises UsageError."""
    parts = urlsplit(url)
    if parts.scheme != "kafka" or not parts.netloc or parts.path.strip("/") or parts.query:
        raise UsageError(
            f"{url.partition('@')[2] or url} is not a Kafka log's URL: write kafka://host:port[,host:port...]"
        )
    if "@" in parts.netloc:
        raise UsageError("the log's URL must not hold user and password: set sasl_username and sasl_password_file")
    hosts = parts.netloc.split(",")
    return ",".join(host if ":" in host else f"{host}:{DEFAULT_PORT}" for host in hosts)
