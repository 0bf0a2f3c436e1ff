"""Signing secrets: read for each use, refused if others can read them; stock libraries verify the signatures."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from router.errors import UsageError
from router.webhooks.signing import SigningSecrets, add_secret, finish_rotation, signed_headers
from router.webhooks.webhook_settings import WebhookSettings


def signing(folder: Path, **changes: object) -> SigningSecrets:
    return SigningSecrets(WebhookSettings(secrets_directory=folder, **changes))  # type: ignore[arg-type]


def test_a_signature_is_the_specification_s() -> None:
    """The vector of the Standard Webhooks libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}', (secret,))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_both_secrets_verify_during_a_rotation(tmp_path: Path) -> None:
    old, new = add_secret(tmp_path, "NVXA"), add_secret(tmp_path, "NVXA")
    secrets = await signing(tmp_path).of("NVXA")
    assert secrets == (new, old)
    headers = signed_headers("n1", time.time(), "{}", secrets)
    for secret in (old, new):
        Webhook(secret).verify("{}", headers)
    assert finish_rotation(tmp_path, "NVXA") == 1
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify("{}", signed_headers("n1", time.time(), "{}", await signing(tmp_path).of("NVXA")))


async def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = add_secret(tmp_path, "NVXA")
    assert (tmp_path / "NVXA").stat().st_mode & 0o777 == 0o600
    (tmp_path / "NVXA").chmod(0o640)
    with pytest.raises(UsageError, match="can be read by others") as caught:
        await signing(tmp_path).of("NVXA")
    assert secret not in str(caught.value)


async def test_a_missing_or_invalid_secret_is_reported_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no readable .*: make one with `snp-router webhooks secret NVXA`"):
        await signing(tmp_path).of("NVXA")
    (tmp_path / "NVXB").write_text("whsec_a!\n")
    (tmp_path / "NVXB").chmod(0o600)
    with pytest.raises(UsageError) as caught:
        await signing(tmp_path).of("NVXB")
    assert "a!" not in str(caught.value)


async def test_a_command_may_print_the_secrets(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; print('whsec_c2VjcmV0' if sys.argv[1] == 'NVXA' else '')")
    secrets = signing(tmp_path, secret_command=command)
    assert await secrets.of("NVXA") == ("whsec_c2VjcmV0",)
    with pytest.raises(UsageError, match="NVXB has no webhook secret: make one with `snp-router webhooks secret NVXB`"):
        await secrets.of("NVXB")
    with pytest.raises(UsageError, match="secret command for NVXA failed with exit code 3"):
        await signing(tmp_path, secret_command=(sys.executable, "-c", "raise SystemExit(3)")).of("NVXA")
