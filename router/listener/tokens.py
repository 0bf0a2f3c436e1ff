"""The senders' tokens. Each names a feed, the kinds of record it may post, and the issuers it may file for.

The file holds SHA-256 hashes. A token is 256 random bits: its hash can't be guessed back, so a slow hash such as argon2
would only cost every request a tenth of a second.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from router.errors import UsageError
from router.feeds.form_fields import FeedName, RegisteredScac, ShortText, reasons_of
from router.files import EntriesFile

DISPOSITIONS: Final = "dispositions"
FILINGS: Final = "filings"
PREFIX: Final = "snp_"
"""Begins every token, so that tools which look for leaked secrets can find one."""
RANDOM_BYTES: Final = 32

MessageKind = Literal["dispositions", "filings"]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class TokenScope(BaseModel):
    """The rights of one token's holder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: FeedName
    kinds: frozenset[MessageKind]
    issuers: frozenset[RegisteredScac] = frozenset()
    """Issuers whose bills it may file. CBP's dispositions may name any bill."""

    @model_validator(mode="after")
    def _issuers_for_filings(self) -> Self:
        if not self.kinds:
            raise ValueError(f"kinds: name {DISPOSITIONS}, {FILINGS} or both")
        if (FILINGS in self.kinds) != bool(self.issuers):
            raise ValueError(f"issuers: the kind {FILINGS} needs them, and no other kind has any")
        return self

    def may_post(self, kind: MessageKind) -> bool:
        return kind in self.kinds

    def may_file_for(self, issuer: str) -> bool:
        return issuer in self.issuers


class StoredToken(TokenScope):
    """A token's entry in the file."""

    hash: Hash


_STORED_TOKENS: Final = TypeAdapter(dict[str, StoredToken])


class TokenHolder(NamedTuple):
    """A sender, by its token's name."""

    name: str
    scope: TokenScope


class Tokens:
    """The file of tokens. Each call reads it anew, so that a removed token is refused from the next request on."""

    def __init__(self, path: Path) -> None:
        self._file = EntriesFile(path, _STORED_TOKENS, "token", "snp-router listen token list")

    def scopes(self) -> Mapping[str, TokenScope]:
        """The scope of each token, by name. Raises UsageError, as all methods do."""
        return self._file.read()

    def add(self, name: str, feed: str, kinds: frozenset[str], issuers: frozenset[str]) -> str:
        """Add a token and return it. It can't be shown again."""
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        try:
            name = TypeAdapter(ShortText).validate_python(name)
            stored = StoredToken.model_validate(
                {"feed": feed, "kinds": kinds, "issuers": issuers, "hash": _hash_of(token)}
            )
        except ValidationError as error:
            raise UsageError(reasons_of(error)) from error
        if name in self._file.read():
            raise UsageError(f"there is a token {name} already: remove it first, or give the new one another name")
        self._file.put(name, stored)
        return token

    def remove(self, name: str) -> None:
        self._file.remove(name)

    def holder_of(self, token: str) -> TokenHolder | None:
        """The holder of the token, or None if it is unknown."""
        found = _hash_of(token)
        return next((TokenHolder(name, one) for name, one in self._file.read().items() if one.hash == found), None)


def _hash_of(token: str) -> Hash:
    return sha256(token.encode(errors="replace")).hexdigest()
