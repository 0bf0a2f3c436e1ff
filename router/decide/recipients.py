"""The recipients of a decision: which of a bill's audience gets a notice, of which kind, and which events it covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import Any

from msgspec.structs import replace

from router.decide.audience import Audience, Disclosure, Recipient, retained_recipient
from router.decide.bill_state import AssessedBill, BillState, LastNotice
from router.decide.identity import notice_id
from router.decide.notices import (
    CATCH_UP,
    CHANGE,
    DISPOSITION,
    NO_LONGER_NOTIFIED,
    RELEASE,
    AppliedRecord,
    Notice,
    hold_added,
    kind_of,
    last_fields,
    latest_event,
    notice_fields,
)
from router.decide.registry import Registry
from router.decide.rules import Rules
from router.decide.status import Assessment, ContainerStatus
from router.model.identifiers import is_vessel_key
from router.model.vocabulary import Authority, Cause, Flag, Kind


class Notifying:
    """One decision's notices. Recipients with the same content share its fields, which are built on first use."""

    def __init__(
        self,
        before: BillState,
        was: Assessment | None,
        applied: AppliedRecord,
        after: AssessedBill,
        audience: Audience,
        authorises: tuple[Authority, ...],
        containers: tuple[ContainerStatus, ...],
        flags: tuple[Flag, ...],
        decision: str,
        rules: Rules,
    ) -> None:
        self._before = before
        self._was = was
        self._applied = applied
        self._after = after
        self._audience = audience
        self._retained: tuple[Recipient, ...] = ()
        """Parties without a ground any more that are to be notified of the end of a stop."""
        self.passed_over: set[str] = set()
        """Parties that get the stop alone, and nothing of this decision."""
        self._authorises = authorises
        self._containers = containers
        self._flags = flags
        self._decision = decision
        self._rules = rules
        self._built: dict[tuple[Cause, bool, tuple[str | None, ...]], Mapping[str, Any]] = {}
        """Fields by cause, True for the status now, and the other bills shown."""
        self._has_derived_holds = any(hold.because_of for hold in after.status.holds)

    def retain(self, leaving: Collection[str], has_moved: bool, registry: Registry) -> set[str]:
        """Retain those leaving parties that a stop concerns: nobody is dismissed while one stands, nor before the
        notice of its end, unless CBP or a table shows that the bill is positively on another sailing. On being found,
        it leaves the operators of sailings that were only assumed. Returns the retained parties."""
        may_dismiss = not self._applied.only_adds
        if has_moved and may_dismiss:
            return set()
        first_found = self._before.sailing is None and self._after.state.sailing is not None
        is_found = may_dismiss and (first_found or self._audience.found is not None)
        for party_id, last in self._before.last_notices.items():
            stops = self._after.status.stopped or last.stopped
            if party_id in leaving and stops and not (is_found and last.assumed):
                self._retained += (retained_recipient(party_id, last.roles, registry, assumed=last.assumed),)
        return {recipient.id for recipient in self._retained}

    def notices(self) -> Iterator[Notice]:
        """Notices to everyone entitled: of an event, and of a change of status whatever its cause. New recipients, and
        those to be notified again, get the status now, which covers all events so far."""
        before, was, applied, after = self._before, self._was, self._applied, self._after.status
        everyone = applied.event_id is not None or applied.renotify_all or self._shows_a_change()
        is_vessel, was_unnamed = is_vessel_key(before.key), before.is_unnamed
        had_waited = {entry.partition(":")[2] for entry in before.waiting}
        added = hold_added(was, after)
        stop_changed = was is None or (was.holds != after.holds and was.shown_holds != after.shown_holds)
        for recipient in (*self._audience.recipients.values(), *self._retained):
            party_id = recipient.id
            last = before.last_notices.get(party_id)
            again = party_id in applied.renotify
            if recipient.topic is None or not (again or is_entitled(recipient, last, after)):
                continue
            again = again or applied.renotify_all
            is_new = again or was_unnamed or (was is not None and _missed_something(recipient, before, was, had_waited))
            stop_alone = recipient.disclosure is Disclosure.STOP
            if not is_new and not (stop_changed if stop_alone else everyone):
                if everyone:
                    self.passed_over.add(party_id)
                continue
            believes_release = (last is not None and last.deliverable) or party_id in applied.believing_release
            kind: Kind = CHANGE
            if not is_vessel:
                kind = kind_of(after, last, believes_release, added=added, status_now=is_new)
            if stop_alone and kind == RELEASE:
                kind = CHANGE
            cause: Cause = CATCH_UP if is_new and not again else applied.cause
            fields = self._fields(party_id, cause, status_now=is_new)
            yield Notice(fields, recipient, kind, cause, notice_id(self._decision, party_id))

    def _shows_a_change(self) -> bool:
        if not self._after.status.shows_the_same(self._was):
            return True
        return self._before.is_original_held != self._after.state.is_original_held

    def superseded_notices(self, registry: Registry) -> Iterator[Notice]:
        """Notices under a number that another has replaced: only of events that CBP still sends under it, and a last
        one to parties that have no ground under the new number."""
        before, after = self._before, self._after.status
        if self._applied.cause == DISPOSITION:
            added = hold_added(self._was, after)
            for recipient in self._audience.recipients.values():
                last = before.last_notices.get(recipient.id)
                if recipient.topic is not None and is_entitled(recipient, last, after):
                    believes_release = last is not None and last.deliverable
                    kind = kind_of(after, last, believes_release, added=added, status_now=False)
                    fields = self._fields(recipient.id, DISPOSITION, status_now=False)
                    yield Notice(fields, recipient, kind, DISPOSITION, notice_id(self._decision, recipient.id))
        yield from self.last_notices(self._applied.not_entitled, registry)

    def last_notices(self, leaving: Collection[str], registry: Registry) -> Iterator[Notice]:
        """One last `Change` to each notified party that has no ground any more."""
        fields: Mapping[str, Any] | None = None
        for party_id, last in self._before.last_notices.items():
            if party_id not in leaving:
                continue
            party = registry.reachable_party(party_id)
            if party is None:
                continue
            fields = fields or last_fields(self._before.key, self._rules)
            recipient = Recipient(party_id, last.roles, Disclosure.AGREEMENT, "all", None, party.topic, None)
            yield Notice(fields, recipient, CHANGE, NO_LONGER_NOTIFIED, notice_id(self._decision, party_id))

    def waiting_recipients(self) -> Iterator[Recipient]:
        """Entitled recipients that can't be reached; the bill waits for them, visibly."""
        before, after = self._before, self._after.status
        retained = (one for one in self._retained if one.topic is None and one.unreachable != "EXTERNAL")
        for recipient in (*self._audience.waiting, *retained):
            last = before.last_notices.get(recipient.id)
            if recipient.id in self._applied.renotify or is_entitled(recipient, last, after):
                yield recipient

    def _fields(self, party: str, cause: Cause, *, status_now: bool) -> Mapping[str, Any]:
        """The fields of a notice about the event, or of a status-now notice."""
        because_of: tuple[str | None, ...] = ()
        if self._has_derived_holds:
            because_of = tuple(hold.seen_bill(party) for hold in self._after.status.holds)
        key = (cause, status_now, because_of)
        fields = self._built.get(key)
        if fields is None:
            build = self._status_now_fields if status_now else self._event_fields
            fields = self._built[key] = build(cause, because_of)
        return fields

    def _event_fields(self, cause: Cause, because_of: tuple[str | None, ...]) -> Mapping[str, Any]:
        applied, after = self._applied, self._after
        return notice_fields(
            self._before.key,
            after.cargo,
            applied.event,
            applied.event_id or applied.caused_by,
            after.status,
            self._authorises,
            self._containers,
            self._flags,
            cause,
            (),
            self._rules,
            because_of,
        )

    def _status_now_fields(self, cause: Cause, because_of: tuple[str | None, ...]) -> Mapping[str, Any]:
        applied, after = self._applied, self._after
        event, event_id = applied.event, applied.event_id
        if event_id is None:
            event, event_id = latest_event(after.state)
        covers = covered_ids(after.state)
        if applied.refiling is not None:
            covers = tuple(sorted({*covers, *applied.refiling.covers}))
        return notice_fields(
            self._before.key,
            after.cargo,
            event,
            event_id,
            after.status,
            after.status.authorises,
            after.status.containers,
            self._flags,
            cause,
            covers,
            self._rules,
            because_of,
        )


def is_entitled(recipient: Recipient, last: LastNotice | None, after: Assessment) -> bool:
    """True if the recipient's scope covers this status. Whoever was notified of a hold is notified of its change and
    end."""
    if recipient.scope == "all":
        return True
    if last is not None and (last.stopped or (last.deliverable and not after.deliverable)):
        return True
    return after.stopped if recipient.scope == "holds" else after.do_not_load


def _missed_something(recipient: Recipient, before: BillState, was: Assessment, had_waited: Collection[str]) -> bool:
    """True if the recipient lacks an earlier notice; it gets the status now instead."""
    if recipient.id in had_waited:
        return True
    last = before.last_notices.get(recipient.id)
    if last is not None:
        return last.passed_over and recipient.disclosure is not Disclosure.STOP
    return is_entitled(recipient, None, was)


def covered_ids(state: BillState) -> tuple[str, ...]:
    """Ids of all events so far, unparsed and manual ones included: those that a status-now notice covers."""
    return tuple(sorted(state.event_ids | state.unparsed.keys() | state.relayed.keys()))


def last_notices_after(
    before: BillState, sequence: int, notices: Iterable[Notice], after: Assessment, passed_over: Set[str]
) -> Mapping[str, LastNotice]:
    """Each party's last notice after a decision."""
    last_notices = dict(before.last_notices)
    for party_id in passed_over & last_notices.keys():
        last_notices[party_id] = replace(last_notices[party_id], passed_over=True)
    for notice in notices:
        recipient = notice.recipient
        if notice.cause == NO_LONGER_NOTIFIED:
            del last_notices[recipient.id]
        else:
            deliverable = after.deliverable
            if recipient.disclosure is Disclosure.STOP:  # it was not told of the release
                known = before.last_notices.get(recipient.id)
                deliverable = deliverable and known is not None and known.deliverable
            last_notices[recipient.id] = LastNotice(
                notice.kind,
                after.stopped,
                after.do_not_load,
                deliverable,
                recipient.roles,
                sequence,
                after.deliverable_at if deliverable else None,
                assumed=recipient.assumed,
            )
    return last_notices
