"""What `snp-router provision` does: plan, apply, revoke, and a new password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from router.clock import now_milliseconds
from router.desk.views import NotFoundError
from router.engine.administration import (
    AuditEntry,
    audit_output,
    import_parties,
    machine_user,
    read_registry,
    wanted_topics,
)
from router.errors import UsageError
from router.log.interface import AdministeredLog, Finding
from router.log.kafka import KafkaSettings
from router.log.kafka.settings import bootstrap_of
from router.log.url import KAFKA, open_log
from router.model.registry_values import Party
from router.provision.admin import AccessAdmin
from router.provision.declared import WITH_ACCESS, declare
from router.provision.passwords import Handover, new_password
from router.provision.plan import Plan, compare, of_party, undeclared_topics
from router.provision.settings import ProvisionSettings

_log = structlog.get_logger(__name__)


class Drift(NamedTuple):
    """All that is not as declared."""

    topics: tuple[Finding, ...]
    access: Plan

    @property
    def lines(self) -> list[str]:
        return [*(f"~ topic {finding}" for finding in self.topics), *self.access.lines()]


class Provisioning:
    """Made by `opened`. Its user must be a superuser of the brokers, or have Alter on the cluster."""

    def __init__(
        self,
        log: AdministeredLog,
        admin: AccessAdmin,
        partitions: int,
        logged_in_as: str | None,
        settings: ProvisionSettings,
    ) -> None:
        self._log = log
        self._admin = admin
        self._partitions = partitions
        self._logged_in_as = logged_in_as
        self._settings = settings

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, url: str, log_settings: dict[str, Any], partitions: int, settings: ProvisionSettings
    ) -> AsyncIterator[Provisioning]:
        """Raises UsageError on a log that has no users."""
        if not url.startswith(KAFKA):
            raise UsageError(f"{url} has no users to provision: who may read the file may read all of it. Use kafka://")
        kafka = KafkaSettings.model_validate(log_settings)
        async with open_log(url, log_settings) as log, AccessAdmin.opened(bootstrap_of(url), kafka) as admin:
            yield cls(log, admin, partitions, kafka.sasl_username, settings)

    async def plan(self) -> Drift:
        """Raises UsageError where nobody is registered and brokers have users of parties: that is the wrong log, or a
        lost one, and would take everybody's rights away."""
        parties = list((await read_registry(self._log)).parties.values())
        topics = await self._log.check(await wanted_topics(self._log, self._partitions))
        undeclared = undeclared_topics(list(await self._log.topics()), parties)
        declared = declare(parties, self._settings)
        found = await self._admin.found()
        plan = compare(declared, found, self._settings, self._logged_in_as, undeclared)
        if not parties and plan.users_surplus:
            raise UsageError(
                f"{self._log.url} has no parties, but its brokers have users of {', '.join(plan.users_surplus)}: "
                "`snp-router import parties FILE` first"
            )
        return Drift(tuple(topics), plan)

    async def apply(self, hand_over: Handover | None) -> Drift:
        """Mend the drift, and give what it was. A party gets its limits before its rights, and its rights before a
        password. Raises UsageError before anything is changed, if there are new users and nobody to hand their
        passwords to."""
        drift = await self.plan()
        plan = drift.access
        if plan.users_missing and hand_over is None:
            raise UsageError(
                f"{', '.join(plan.users_missing)} will get passwords: say where to with --password-file or "
                "--password-command"
            )
        await self._log.mend(await wanted_topics(self._log, self._partitions))
        await self._settle(plan)
        await self._admin.grant(plan.rights_missing)
        for user in plan.users_missing:
            assert hand_over is not None
            await self._new_password(user, hand_over)
        return drift

    async def revoke(self, scac: str) -> Plan:
        """Cut a party off: its rights first, which ends what it may do with connections it has; then its user and
        limits; then it is registered as suspended, so that the next `apply` does not let it in again."""
        party = await self._party(scac)
        plan = of_party(await self._admin.found(), party)
        await self._admin.withdraw(plan.rights_surplus)
        await self._settle(plan._replace(rights_surplus=()))
        if party.status in WITH_ACCESS:
            await import_parties(self._log, [party._replace(status="suspended")])
        await self._note("provision revoke", party.scac, f"{len(plan.rights_surplus)} rights taken away")
        return plan

    async def new_password(self, name: str, hand_over: Handover) -> str:
        """For a party, by any of its SCACs, or for one of our own users; its name. Its old password is refused from
        then on; sessions that are open go on."""
        user = name if name in self._settings.services else (await self._party(name)).user
        if user not in (await self._admin.found()).users:
            raise NotFoundError(f"there is no user {user} yet: `snp-router provision apply` makes it")
        await self._new_password(user, hand_over)
        await self._note("provision password", user, "a new password")
        return user

    async def _settle(self, plan: Plan) -> None:
        await self._admin.withdraw(plan.rights_surplus)
        await self._admin.remove_users(plan.users_surplus)
        await self._admin.set_quotas(plan.quotas)

    async def _new_password(self, user: str, hand_over: Handover) -> None:
        password = new_password()
        hand_over(user, password)
        await self._admin.make_user(user, password)
        _log.info("password_set", user=user)

    async def _note(self, action: str, subject: str, detail: str) -> None:
        _log.info(action.replace(" ", "_"), subject=subject, detail=detail)
        await self._log.append([audit_output(AuditEntry(now_milliseconds(), machine_user(), action, subject, detail))])

    async def _party(self, scac: str) -> Party:
        party = (await read_registry(self._log)).party(scac.upper())
        if party is None:
            raise NotFoundError(f"no party {scac} is registered")
        return party
