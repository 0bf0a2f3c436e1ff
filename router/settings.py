"""All settings: one TOML file, over it the environment (`SNP_`, nested with `__`), over that the command line.

`snp-router.toml` with every table, each key optional:

    log = "sqlite:///snp.db"
    partitions = 8

    [rules]
    release_after_hold = "fresh"

    [[feeds]]
    name = "cbp"
    days = ["mon", "tue", "wed", "thu", "fri"]
    from_hour = 6
    to_hour = 22
    longest_silence_minutes = 60

    [requests]
    minutes_between = 10

    [work]
    records_per_transaction = 1000

    [sqlite]
    busy_timeout_seconds = 5.0

In the environment: `SNP_LOG`, `SNP_RULES__RELEASE_AFTER_HOLD`, `SNP_SQLITE__BUSY_TIMEOUT_SECONDS`.
"""

from __future__ import annotations

import os
import socket
import tomllib
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from pydantic_settings.sources import TomlConfigSettingsSource

from router.console.settings import ConsoleSettings
from router.decide.codes import load_codes
from router.decide.rules import FRESH, Rules
from router.engine.feed_silence import SilenceLimit
from router.engine.supervisor import SLOT
from router.engine.task_zero import TaskZeroSettings
from router.engine.worker import WorkSettings
from router.errors import UsageError
from router.feeds.form_fields import FeedName, PortCode, PrintedText
from router.log.sqlite import SqliteSettings
from router.provision.settings import ProvisionSettings
from router.schema_registry.settings import RegistrySettings
from router.webhooks.settings import WebhookSettings

CONFIG_FILE: Final = Path("snp-router.toml")
"""Read if it is there and no other is named."""

PREFIX: Final = "SNP_"

_WORK: Final = WorkSettings()

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class RuleSettings(BaseModel):
    """What decisions depend on. All workers of one installation need the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release_after_hold: Literal["fresh", "standing"] = FRESH
    """Whether a release posted before a CBP hold needs a new one after it (`fresh`) or counts again (`standing`)."""
    history_complete_from: frozenset[str] = frozenset({"55"})
    """Codes that show a bill's history from its beginning."""
    fold_after_events: int = Field(default=200, ge=8)
    forget_after_days: int = Field(default=90, ge=1)
    forget_silent_after_days: int = Field(default=365, ge=1)
    late_after_minutes: int = Field(default=60, ge=1)
    manual_match_hours: int = Field(default=24, ge=1, le=24 * 14)
    """A hold or release relayed by hand is the electronic one that CBP posted so long before or after, at most."""
    recovery_quiet_minutes: int = Field(default=30, ge=1)
    """After an outage nothing late has to come for so long until it is over."""
    resync_over_days: int = Field(default=14, ge=0)
    """A resync leaves out bills that are over and were last heard of so long ago."""
    disposition_codes: Path | None = None
    """A CSV of codes that are added to the bundled table, or replace rows of it. Relative to the settings file."""

    @model_validator(mode="after")
    def _silence_outlasts_quiet(self) -> Self:
        if self.forget_silent_after_days < self.forget_after_days:
            raise ValueError("forget_silent_after_days must not be shorter than forget_after_days")
        return self


class FeedSettings(BaseModel):
    """How long a feed may be silent in some hours of the week. Several for one feed: other hours, other limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: FeedName
    """As in `ingest --feed`."""
    port: PortCode | None = None
    """Schedule D; without it, what comes for any port counts."""
    days: frozenset[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = frozenset(DAYS)
    from_hour: int = Field(default=0, ge=0, le=23)
    to_hour: int = Field(default=24, ge=1, le=24)
    """Eastern, like `from_hour`; up to it, not in it."""
    longest_silence_minutes: int = Field(ge=1, le=7 * 24 * 60)

    @model_validator(mode="after")
    def _hours_in_order(self) -> Self:
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must be before to_hour; a night takes two entries")
        return self

    def hours(self) -> SilenceLimit:
        days = frozenset(DAYS.index(day) for day in self.days)
        return SilenceLimit(self.name, self.port, days, self.from_hour, self.to_hour, self.longest_silence_minutes)


class RequestSettings(BaseModel):
    """What parties may ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minutes_between: int = Field(default=10, ge=0)
    """A party's request so soon after its last one is refused."""


class WorkerSettings(BaseModel):
    """How much is done at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    records_per_transaction: int = Field(default=_WORK.records_per_transaction, ge=1, le=100_000)
    walk_bills_per_transaction: int = Field(default=_WORK.walk_bills_per_transaction, ge=1, le=100_000)
    poll_seconds: float = Field(default=_WORK.poll_seconds, gt=0, le=60)
    index_gather_seconds: float = Field(default=_WORK.index_gather_seconds, ge=0, le=5)
    idle_seconds: float = Field(default=_WORK.idle_seconds, gt=0, le=60)


class Settings(BaseSettings):
    """Made by `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)
    toml_file: ClassVar[Path | None] = None

    log: PrintedText = "sqlite:///snp.db"
    partitions: int = Field(default=8, ge=1, le=1024)
    """Of each partitioned topic, for good: it counts when the topics are made."""
    rules: RuleSettings = RuleSettings()
    feeds: tuple[FeedSettings, ...] = ()
    """Feeds that are missed when they are silent."""
    requests: RequestSettings = RequestSettings()
    work: WorkerSettings = WorkerSettings()
    sqlite: SqliteSettings = SqliteSettings()
    webhooks: WebhookSettings = WebhookSettings()
    status_listen: str | None = None
    """`host:port` where a running router answers `/metrics`, `/live` and `/ready`. A worker's slot is added to the
    port."""
    console: ConsoleSettings = ConsoleSettings()
    kafka: dict[str, Any] = {}
    """As in `KafkaSettings`; checked when a Kafka log is opened, since only then its client is loaded."""
    provision: ProvisionSettings = ProvisionSettings()
    registry: RegistrySettings = RegistrySettings()
    """Of schemas, where it is not our own."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, cls.toml_file)

    def log_settings(self) -> dict[str, Any]:
        """Those of the log that `log` names, for `open_log`.

        A worker under a supervisor has a place of its own in Kafka's group, by machine and slot: replaced within the
        session's time-out, it finds its tasks again and no other worker is disturbed.
        """
        if not self.log.startswith("kafka:"):
            return self.sqlite.model_dump()
        slot = os.environ.get(SLOT)
        return {"group_instance_id": f"{socket.gethostname()}-{slot}"} | self.kafka if slot else self.kafka

    def decision_rules(self) -> Rules:
        """Raises UsageError where the code table can't be read."""
        given = self.rules.model_dump()
        extra = given.pop("disposition_codes")
        base = self.toml_file.parent if self.toml_file else Path()
        return Rules(codes=load_codes(base / extra if extra else None), **given)

    def webhook_settings(self) -> WebhookSettings:
        return self.webhooks.beside(self.toml_file.parent if self.toml_file else Path())

    def work_settings(self) -> WorkSettings:
        duties = TaskZeroSettings(tuple(feed.hours() for feed in self.feeds), self.requests.minutes_between)
        return WorkSettings(**self.work.model_dump(), duties=duties)


def load_settings(config: Path | None = None, *, log: str | None = None) -> Settings:
    """`log`, where given, goes over everything. Raises UsageError that names each wrong setting."""
    if config is None and CONFIG_FILE.is_file():
        config = CONFIG_FILE
    if config is not None and not config.is_file():
        raise UsageError(f"there is no settings file {config}")
    where = f"{config} and the environment" if config else "the environment"

    class Located(Settings):
        toml_file: ClassVar[Path | None] = config

    try:
        return Located(log=log) if log else Located()
    except ValidationError as error:
        raise UsageError(f"settings ({where}): {_phrase(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{config} is no TOML: {error}") from error
    except (SettingsError, OSError, ValueError, RecursionError) as error:
        raise UsageError(f"settings ({where}) can't be read: {error}") from error


def unknown_variables() -> list[str]:
    """Names in the environment that look like ours and set nothing: most likely slips of the pen."""
    first_parts = {name.upper() for name in Settings.model_fields} | {"CONFIG"}
    names = (name for name in os.environ if name.startswith(PREFIX))
    return sorted(name for name in names if name.removeprefix(PREFIX).partition("__")[0] not in first_parts)


def _phrase(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'together'}: "
        + ("there is no such setting" if fault["type"] == "extra_forbidden" else fault["msg"])
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )
