"""Deeds of operators on the console: a preview of what follows, the confirmation of just that, and a receipt.

A form is answered by its preview. The preview's own form has the same fields and a token of all that it shows: the
deed is done only if nothing that was shown has changed. A form with an error comes back with what was entered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from router.clock import now_milliseconds
from router.console.rendering import Entered, Receipt, address_of, backend_of, form_of, page, session_of
from router.console.sessions import csrf_ok
from router.decide.identity import content_hash
from router.desk.bill_views import NotFoundError
from router.desk.operator_deeds import ForeseenNotice
from router.engine.administration import acting_from
from router.errors import UsageError

FormFields = Mapping[str, str]

PREVIEWED: Final = "previewed"
"""The field with the token of the preview that is confirmed."""
CHANGED: Final = "what follows has changed since you saw it: look again"

NAMED: Final = 12
"""Recipients that a receipt names; it stands in an address, which must not be long."""


class Preview(NamedTuple):
    """The effect of a deed if nothing else comes first."""

    heading: str
    facts: tuple[str, ...] = ()
    notices: tuple[ForeseenNotice, ...] | None = None
    """None if the deed notifies nobody of a bill."""
    warnings: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        return content_hash(repr(self))

    @property
    def counts(self) -> list[tuple[str, list[str]]]:
        """The recipients of each kind of notice, holds first."""
        kinds = Counter(one.kind for one in self.notices or ())
        order = sorted(kinds, key=("hold", "change", "release").index)
        return [(kind, [one.recipient for one in self.notices or () if one.kind == kind]) for kind in order]


class Deed(NamedTuple):
    """One form of the console."""

    path: str
    form: str
    """The form's name in the templates, which fill it in again after an error."""
    shown_on: Callable[[Request], Awaitable[Response]]
    """The page that has the form."""
    preview: Callable[[Request, FormFields], Awaitable[Preview]]
    """Raises UsageError for fields that can't be."""
    perform: Callable[[Request, FormFields], Awaitable[str]]
    """Does it, and returns the path of the page where its result appears."""

    @property
    def route(self) -> Route:
        return Route(self.path, self.answer, methods=["POST"])

    async def answer(self, request: Request) -> Response:
        """Answer the form with its preview, the preview's confirmation with the receipt."""
        fields = await operators_fields(request)
        previewed = fields.pop(PREVIEWED, None)
        try:
            preview = await self.preview(request, fields)
            if previewed is None:
                return self._preview_page(request, preview, fields)
            if previewed != preview.token:
                return self._preview_page(request, preview, fields, CHANGED)
            began = now_milliseconds()
            with acting_from(address_of(request)):
                path = await self.perform(request, fields)
        except NotFoundError:
            raise
        except UsageError as error:
            request.scope["state"]["entered"] = Entered(self.form, dict(fields), str(error))
            return await self.shown_on(request)
        sentences = tuple(f"{kind} to {_named(parties)}" for kind, parties in preview.counts)
        receipt = Receipt(preview.heading, began, session_of(request).user.name, sentences)
        token = backend_of(request).sessions.sign(receipt)
        return RedirectResponse(f"{path}?receipt={quote(token)}", HTTPStatus.SEE_OTHER)

    def _preview_page(
        self, request: Request, preview: Preview, fields: FormFields, problem: str | None = None
    ) -> Response:
        status = HTTPStatus.OK if problem is None else HTTPStatus.UNPROCESSABLE_ENTITY
        return page(request, "preview.html", status, preview=preview, fields=fields, problem=problem)


def _named(parties: list[str]) -> str:
    more = len(parties) - NAMED
    return ", ".join(parties[:NAMED]) + (f" and {more} more" if more > 0 else "")


async def operators_fields(request: Request) -> dict[str, str]:
    """The form's fields. Raises HTTPException unless an operator sent it, from a page of this session."""
    session = session_of(request)
    if not session.user.may_act:
        raise HTTPException(HTTPStatus.FORBIDDEN, "viewers can only read: ask an operator to do this")
    fields = {name: value.strip() for name, value in (await form_of(request)).items()}
    if not csrf_ok(session, fields.pop("csrf", "")):
        raise HTTPException(HTTPStatus.FORBIDDEN, "the form is too old, or came from another page: reload it")
    return fields
