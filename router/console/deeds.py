"""Deeds of operators on the console: a preview of what follows, the confirmation of just that, and a receipt.

A form is answered by its preview. The preview's own form has the same fields and a token of all that it shows: the
deed is done only if nothing that was shown has changed. A deed on several bills is done on those that have not changed;
its receipt names the others. A form with an error comes back with what was entered.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import Entered, Receipt, address_of, backend_of, form_of, page, session_of
from router.console.sessions import OPERATOR, csrf_ok
from router.decide.identity import content_hash
from router.desk.bill_views import NotFoundError
from router.desk.bulk_deeds import Done
from router.desk.operator_deeds import ForeseenBill, ForeseenNotice
from router.engine.administration import acting_from
from router.errors import UsageError

FormFields = Mapping[str, str]

PREVIEWED: Final = "previewed"
"""The field with the token of the preview that is confirmed."""
UNCHANGED: Final = "password"
"""The field that keeps its blanks."""
CHANGED: Final = "what follows has changed since you saw it: look again"

NAMED: Final = 12
"""Recipients that a receipt names; it stands in an address, which must not be long."""
KINDS: Final = ("hold", "change", "release")


class Preview(NamedTuple):
    """The effect of a deed if nothing else comes first."""

    heading: str
    facts: tuple[str, ...] = ()
    notices: tuple[ForeseenNotice, ...] | None = None
    """None if the deed notifies nobody of a bill."""
    warnings: tuple[str, ...] = ()
    bills: tuple[ForeseenBill, ...] = ()
    """The bills of a deed on several, those first on which it can't be done. `notices` has all of theirs."""
    estimates: tuple[str, ...] = ()
    """Numbers that may change until the deed is done; it does not depend on them."""
    fields: FormFields | None = None
    """Fields that the confirmation sends in place of the form's; None: the form's own."""
    is_by_bill: bool = False
    """True if the deed is done on each bill that has not changed, whatever became of the others."""

    @property
    def token(self) -> str:
        """A digest of everything shown but estimates; for a deed by bill, what was seen of each."""
        if self.is_by_bill:
            return json.dumps({one.bill: one.seen for one in self.possible})
        return content_hash(repr(self._replace(estimates=())))

    @property
    def possible(self) -> list[ForeseenBill]:
        return [one for one in self.bills if one.refusal is None]

    @property
    def is_possible(self) -> bool:
        return not self.bills or bool(self.possible)

    @property
    def by_party(self) -> dict[str, Counter[str]]:
        """Number of notices of each kind, by recipient."""
        counts: dict[str, Counter[str]] = {}
        for one in self.notices or ():
            counts.setdefault(one.recipient, Counter())[one.kind] += 1
        return counts

    @property
    def sentences(self) -> tuple[str, ...]:
        """The recipients of each kind of notice, holds first."""
        counts = self.by_party
        by_kind = {kind: [party for party in counts if counts[party][kind]] for kind in KINDS}
        return tuple(f"{kind} to {_named(parties)}" for kind, parties in by_kind.items() if parties)


class Outcomes(NamedTuple):
    """Result of a deed by bill."""

    heading: str
    facts: tuple[str, ...]
    bills: Sequence[Done]


class Deed(NamedTuple):
    """One form of the console."""

    path: str
    form: str
    """The form's name in the templates, which fill it in again after an error."""
    shown_on: Callable[[Request], Awaitable[Response]]
    """The page that has the form."""
    origin: str
    """The path of that page, with the placeholders of `path`."""
    preview: Callable[[Request, FormFields], Awaitable[Preview]]
    """Raises UsageError for fields that can't be."""
    perform: Callable[[Request, FormFields], Awaitable[str | Outcomes]]
    """Does it, and returns the path of the page where its result appears; by bill, the outcome of each."""
    is_by_bill: bool = False
    role: str = OPERATOR
    """The least role that may do it."""

    @property
    def route(self) -> Route:
        return Route(self.path, self.answer, methods=["POST"])

    async def answer(self, request: Request) -> Response:
        """Answer the form with its preview, the preview's confirmation with the receipt."""
        fields = await fields_from(request, self.role)
        previewed, preview = fields.get(PREVIEWED), Preview("")
        try:
            if previewed is None or not self.is_by_bill:
                fields.pop(PREVIEWED, None)
                preview = await self.preview(request, fields)
                if previewed != preview.token:
                    return self._preview_page(request, preview, fields, CHANGED if previewed is not None else None)
            began = now_milliseconds()
            with acting_from(address_of(request)):
                result = await self.perform(request, fields)
        except NotFoundError:
            raise
        except UsageError as error:
            request.scope["state"]["entered"] = Entered(self.form, dict(fields), str(error))
            return await self.shown_on(request)
        by = session_of(request).user.name
        if isinstance(result, Outcomes):
            receipt = Receipt(result.heading, began, by, ())
            return page(request, "outcomes.html", receipt=receipt, outcomes=result, back=self._origin_of(request))
        receipt = Receipt(preview.heading, began, by, preview.sentences)
        token = backend_of(request).sessions.sign(receipt)
        return RedirectResponse(f"{result}?receipt={quote(token)}", HTTPStatus.SEE_OTHER)

    def _preview_page(self, request: Request, preview: Preview, fields: FormFields, problem: str | None) -> Response:
        status = HTTPStatus.OK if problem is None else HTTPStatus.UNPROCESSABLE_ENTITY
        return page(
            request, "preview.html", status, preview=preview, problem=problem, back=self._origin_of(request),
            fields=fields if preview.fields is None else preview.fields,
        )  # fmt: skip

    def _origin_of(self, request: Request) -> str:
        """The address of the page that has the form."""
        parts = {name: quote(value, safe="") for name, value in request.path_params.items()}
        query = f"?{request.url.query}" if request.url.query else ""
        return self.origin.format(**parts) + query


def _named(parties: list[str]) -> str:
    more = len(parties) - NAMED
    return ", ".join(parties[:NAMED]) + (f" and {more} more" if more > 0 else "")


async def fields_from(request: Request, role: str) -> dict[str, str]:
    """The form's fields. Raises HTTPException unless a user with this role sent it, from a page of this session."""
    session = session_of(request)
    if not session.user.has(role):
        text = f"this needs the role {role}, and you are {session.user.role}: ask an {role} to do it"
        raise HTTPException(HTTPStatus.FORBIDDEN, text)
    sent = await form_of(request)
    fields = {name: value if name == UNCHANGED else value.strip() for name, value in sent.items()}
    if not csrf_ok(session, fields.pop("csrf", "")):
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form is too old, or came from another page: reload it")
    return fields


# Parts of the deeds' own functions

FIELD_NAMES: Final = {
    "source": "Who at CBP",
    "bill": "Bill",
    "hold": "Hold",
    "reason": "ground",
    "delivered_at": "Delivered to CBP",
}


def name_of(request: Request) -> str:
    """The name of the user who sent the form."""
    return session_of(request).user.name


def account_of(request: Request) -> str:
    """The user's account, as deeds name it."""
    return f"console:{name_of(request)}"


def given(fields: FormFields, *names: str) -> dict[str, Any]:
    """The named fields; empty ones are None."""
    return {name: fields.get(name) or None for name in names}


def required(fields: FormFields, name: str) -> str:
    """The field's value. Raises UsageError for an empty one."""
    if not fields.get(name):
        raise UsageError(f"the field {FIELD_NAMES.get(name, name)} is empty: fill it in")
    return fields[name]


def words(codes: Sequence[str]) -> str:
    """Codes as words of a sentence."""
    return ", ".join(codes).replace("_", " ").lower()


def counted(number: int, noun: str) -> str:
    """`1 bill`, `2,100 bills`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def some(items: Sequence[str], noun: str, most: int = 20) -> tuple[str, ...]:
    """A line with the count, then the first items."""
    if not items:
        return ()
    more = (f"and {len(items) - most} more",) if len(items) > most else ()
    return (f"{counted(len(items), noun)}:", *items[:most], *more)
