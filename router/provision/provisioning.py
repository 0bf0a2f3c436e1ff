"""Provisioning as `snp-router provision` does it: plan, apply, revoke, and a new password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from router.clock import now_milliseconds
from router.desk.bill_views import NotFoundError
from router.desk.registered_parties import find_party
from router.engine.administration import (
    AuditEntry,
    audit_output,
    import_parties,
    os_user,
    read_registry,
    wanted_topics,
)
from router.errors import UsageError
from router.log.interface import AdministeredLog
from router.log.kafka.connection import bootstrap_of, kafka_settings
from router.log.url import KAFKA, open_log
from router.provision.access_drift import Drift, all_access_of, compare, undeclared_topics
from router.provision.access_rights import WITH_ACCESS, ProvisionSettings, declare
from router.provision.broker_access import AccessAdmin
from router.provision.passwords import PasswordRotation, new_password

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Provisioning:
    """Provisioning of one log. Made by `opened`; its user must be a superuser, or have Alter on the cluster."""

    _log: AdministeredLog
    _admin: AccessAdmin
    _partitions: int
    _logged_in_as: str | None
    _settings: ProvisionSettings

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, url: str, log_settings: dict[str, Any], partitions: int, settings: ProvisionSettings
    ) -> AsyncIterator[Provisioning]:
        """Raises UsageError on a log without users."""
        if not url.startswith(KAFKA):
            raise UsageError(f"{url} has no users; access to it is that of the file. Provision a kafka:// log")
        kafka = kafka_settings(log_settings)
        async with open_log(url, log_settings) as log, AccessAdmin.opened(bootstrap_of(url), kafka) as admin:
            yield cls(log, admin, partitions, kafka.sasl_username, settings)

    async def plan(self) -> Drift:
        """Find the drift.

        Raises UsageError if no party is registered but the brokers have parties' users: the log is a wrong or lost
        one, and `apply` would remove all their rights.
        """
        parties = list((await read_registry(self._log)).parties.values())
        topics = await self._log.check(await wanted_topics(self._log, self._partitions))
        undeclared = undeclared_topics(list(await self._log.topics()), parties)
        declared, found = declare(parties, self._settings), await self._admin.found()
        drift = compare(declared, found, self._settings, self._logged_in_as, undeclared)
        if not parties and drift.users_surplus:
            raise UsageError(
                f"{self._log.url} has no parties, but its brokers have users of {', '.join(drift.users_surplus)}: "
                "check the log, or run `snp-router import parties FILE` first"
            )
        return drift._replace(topics=tuple(map(str, topics)))

    async def apply(self, rotate: PasswordRotation | None) -> Drift:
        """Correct the drift and return what it was. A party gets limits before rights, and rights before a password.

        Raises UsageError before any change if there are new users but no `rotate` to deliver their passwords.
        """
        drift = await self.plan()
        if drift.users_missing and rotate is None:
            raise UsageError(
                f"new users get passwords ({', '.join(drift.users_missing)}): add --password-file or --password-command"
            )
        await self._log.mend(await wanted_topics(self._log, self._partitions))
        await self._remove_surplus(drift)
        await self._admin.grant(drift.rights_missing)
        for user in drift.users_missing:
            assert rotate is not None
            await self._rotate(user, rotate)
        return drift

    async def revoke(self, name: str) -> Drift:
        """Cut a party off: its rights first, so that open connections may do nothing more, then its user and limits.

        It is then registered as suspended, so that the next `apply` does not readmit it. Raises NotFoundError.
        """
        party = await find_party(self._log, name)
        drift = all_access_of(await self._admin.found(), party)
        await self._remove_surplus(drift)
        if party.status in WITH_ACCESS:
            await import_parties(self._log, [party._replace(status="suspended")])
        await self._audit("provision revoke", party.id, f"{len(drift.rights_surplus)} rights taken away")
        return drift

    async def new_password(self, name: str, rotate: PasswordRotation) -> str:
        """Give a party (by any of its ids) or one of our users a new password; return the user's name.

        The old password is refused from then on; open sessions continue. Raises NotFoundError, UsageError.
        """
        user = name if name in self._settings.services else (await find_party(self._log, name)).user
        if user not in (await self._admin.found()).users:
            raise NotFoundError(f"user {user} is not on the brokers yet: make it with `snp-router provision apply`")
        await self._rotate(user, rotate)
        await self._audit("provision password", user, "a new password")
        return user

    async def _remove_surplus(self, drift: Drift) -> None:
        """Also sets the limits that differ."""
        await self._admin.withdraw(drift.rights_surplus)
        await self._admin.remove_users(drift.users_surplus)
        await self._admin.set_quotas(drift.quotas)

    async def _rotate(self, user: str, rotate: PasswordRotation) -> None:
        password = new_password()
        rotate(user, password)
        await self._admin.make_user(user, password)
        _log.info("password_set", user=user)

    async def _audit(self, action: str, subject: str, detail: str) -> None:
        _log.info(action.replace(" ", "_"), subject=subject, detail=detail)
        await self._log.append([audit_output(AuditEntry(now_milliseconds(), os_user(), action, subject, detail))])
