"""All settings: a TOML file, the environment (`SNP_`, nested with `__`), the command line. Each overrides those before.

`snp-router.toml`, each key optional:

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

    [sqlite]
    busy_timeout_seconds = 5.0

In the environment: `SNP_LOG`, `SNP_RULES__RELEASE_AFTER_HOLD`, `SNP_SQLITE__BUSY_TIMEOUT_SECONDS`.
"""

from __future__ import annotations

import os
import socket
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from pydantic_settings.sources import TomlConfigSettingsSource

from router.console import ConsoleSettings
from router.decide.codes import load_codes, with_extra
from router.decide.port_areas import load_port_areas
from router.decide.rules import ACCEPTED_VERSIONS, FRESH, IndicatorMeaning, ReleaseAfterHold, Rules
from router.engine.feed_silence import SilenceLimit
from router.engine.supervisor import SLOT
from router.errors import UsageError
from router.feeds.form_fields import FeedName, PortCode, PrintedText
from router.listener import ListenSettings
from router.log.sqlite import SqliteSettings
from router.model.vocabulary import Usage
from router.provision.access_rights import ProvisionSettings
from router.schema_registry.schema_publication import RegistrySettings
from router.webhooks.webhook_settings import WebhookSettings

if TYPE_CHECKING:
    from router.engine.worker import WorkSettings

CONFIG_FILE: Final = Path("snp-router.toml")
"""Read if it exists and no other file is named."""

PREFIX: Final = "SNP_"

VersionCode = Annotated[str, Field(pattern=r"^[0-9]{6}$")]
IndicatorValue = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,2}$")]
SegmentName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{1,2}$")]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class RuleSettings(BaseModel):
    """Rules of the decisions. The first router writes them to the registry, where all of them are the same; from then
    on a given one only has to agree, until `rules apply` changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    release_after_hold: ReleaseAfterHold = FRESH
    """`fresh`: a release posted before a CBP hold needs a new one after it. `previous`: it counts again."""
    release_after_hold_exceptions: dict[str, ReleaseAfterHold] = {}
    """By code of the hold."""
    four_eyes: bool = True
    """A hold that one person cleared counts as ended only once another person confirms it."""
    history_complete_from: frozenset[str] = frozenset({"55"})
    """Codes that begin a complete history of a bill."""
    usage: Usage = "production"
    """An X12 interchange of the other use (ISA15) is put aside whole. Fixed once events were routed."""
    accepted_versions: frozenset[VersionCode] = ACCEPTED_VERSIONS
    """X12 versions that are read as whole (GS08)."""
    extra_segments: frozenset[SegmentName] = frozenset()
    """X12 segments that CBP has added to an event's loop."""
    x420_meanings: dict[IndicatorValue, IndicatorMeaning] = {}
    """Meaning of each value of X420, once CBP has said it: `none`, `resent` or `reversal`."""
    history_from_nomination_of_several: bool = False
    """A nomination (69) 24 hours before lading also begins that of a house bill with several second notify parties."""
    late_after_minutes: int = Field(default=60, ge=1)
    """An event received this long after CBP posted it is late."""
    manual_match_hours: int = Field(default=24, ge=1, le=24 * 14)
    """The longest time between a hold or release entered by hand and the electronic one that is the same."""
    recovery_quiet_minutes: int = Field(default=30, ge=1)
    """Minutes without late events after which an outage's recovery is complete."""
    port_areas: tuple[str, ...] = ()
    """Areas whose ports count as one place: names of router/decide/port_areas.csv, or ports such as `1401 1402`."""
    disposition_codes: Path | None = None
    """A CSV of codes that extend the bundled table or replace its rows. Relative to the settings file."""


class FeedSettings(BaseModel):
    """A limit of a feed's silence in some hours of the week. A feed may have several."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: FeedName
    """The name given to `ingest --feed`."""
    port: PortCode | None = None
    """Schedule D; without it, events for any port end the silence."""
    days: frozenset[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = frozenset(DAYS)
    from_hour: int = Field(default=0, ge=0, le=23)
    to_hour: int = Field(default=24, ge=1, le=24)
    """Exclusive. Eastern, like `from_hour`."""
    longest_silence_minutes: int = Field(ge=1, le=7 * 24 * 60)

    @model_validator(mode="after")
    def _hours_in_order(self) -> Self:
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour must be before to_hour; write a night as two entries")
        return self

    def limit(self) -> SilenceLimit:
        days = frozenset(DAYS.index(day) for day in self.days)
        return SilenceLimit(self.name, self.port, days, self.from_hour, self.to_hour, self.longest_silence_minutes)


class Settings(BaseSettings):
    """Made by `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)
    toml_file: ClassVar[Path | None] = None

    log: PrintedText = "sqlite:///snp.db"
    partitions: int = Field(default=8, ge=1, le=1024)
    """Partitions of each partitioned topic. Fixed once the topics are made."""
    rules: RuleSettings = RuleSettings()
    feeds: tuple[FeedSettings, ...] = ()
    """Feeds that are announced as silent."""
    sqlite: SqliteSettings = SqliteSettings()
    webhooks: WebhookSettings = WebhookSettings()
    status_listen: str | None = None
    """`host:port` where a router answers `/metrics`, `/live` and `/ready`. A worker adds its slot to the port."""
    console: ConsoleSettings = ConsoleSettings()
    listen: ListenSettings = ListenSettings()
    kafka: dict[str, Any] = {}
    """The fields of `KafkaSettings`. Checked when a Kafka log is opened: its client is loaded only then."""
    provision: ProvisionSettings = ProvisionSettings()
    registry: RegistrySettings = RegistrySettings()
    """An external schema registry."""

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
        """The settings of the log that `log` names, for `open_log`.

        A worker under a supervisor is a static member of Kafka's group, by machine and slot. Its replacement, if it
        comes within the session's time-out, gets the same tasks and disturbs no other worker.
        """
        if not self.log.startswith("kafka:"):
            return self.sqlite.model_dump()
        slot = os.environ.get(SLOT)
        return {"group_instance_id": f"{socket.gethostname()}-{slot}"} | self.kafka if slot else self.kafka

    @property
    def given_rules(self) -> frozenset[str]:
        """Names of the rules that the file or the environment gives, as `Rules` names them."""
        return frozenset("codes" if name == "disposition_codes" else name for name in self.rules.model_fields_set)

    def rules_after(self, current: Rules | None) -> Rules:
        """The next rules, if these settings are applied: the given ones in place of the current, and the code table of
        this version of the router. Without current ones, the first.

        Raises UsageError if the code table can't be read, or a rule names a code or port area in no table.
        """
        given = self.rules.model_dump(include=self.rules.model_fields_set)
        extra = given.pop("disposition_codes", None)
        if extra is None and current is not None:
            codes = with_extra(current.codes.extra, current.codes.version.partition("+")[2])
        else:
            codes = load_codes(self._folder / extra if extra else None)
        if "port_areas" in given:
            given["port_areas"] = load_port_areas(given["port_areas"])
        for name in ("history_complete_from", "release_after_hold_exceptions"):
            if unknown := sorted(set(given.get(name, ())) - codes.codes.keys()):
                raise UsageError(f"settings: rules.{name} names {', '.join(unknown)}, which is in no code table")
        if current is None:
            return Rules(codes=codes, **given)
        return replace(current, number=current.number + 1, earlier=(*current.earlier, current), codes=codes, **given)

    def webhook_settings(self) -> WebhookSettings:
        return self.webhooks.beside(self._folder)

    def work_settings(self) -> WorkSettings:
        from router.engine.worker import WorkSettings  # Loaded only by a router: it brings the figures along.

        return WorkSettings(tuple(feed.limit() for feed in self.feeds))

    @property
    def _folder(self) -> Path:
        return self.toml_file.parent if self.toml_file else Path()


def load_settings(config: Path | None = None, *, log: str | None = None) -> Settings:
    """Read the settings; `log`, if given, overrides them. Raises UsageError that names each invalid setting."""
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
        raise UsageError(f"{config} is not valid TOML: {error}") from error
    except (SettingsError, OSError, ValueError, RecursionError) as error:
        raise UsageError(f"settings ({where}) can't be read: {error}") from error


def unknown_variables() -> list[str]:
    """Environment variables with our prefix that set nothing: most likely typing errors."""
    first_parts = {name.upper() for name in Settings.model_fields} | {"CONFIG"}
    names = (name for name in os.environ if name.startswith(PREFIX))
    return sorted(name for name in names if name.removeprefix(PREFIX).partition("__")[0] not in first_parts)


def _phrase(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'together'}: "
        + ("there is no such setting" if fault["type"] == "extra_forbidden" else fault["msg"])
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    )
