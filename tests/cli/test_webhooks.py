"""The webhooks' commands: secrets shown once, how far each party is, an operator's word."""

from __future__ import annotations

from tests.cli.conftest import Command

NVXA = "scac,contact_phone,webhook_url\nNVXA,+1-555-0130,https://nvxa.example/notices\n"


def with_webhook(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin=NVXA)


def test_a_secret_is_shown_once_and_kept_for_its_owner_alone(command: Command) -> None:
    with_webhook(command)
    secret = command("webhooks", "secret", "NVXA").stdout.strip()
    assert secret.startswith("whsec_")
    kept = command.folder / "webhook-secrets" / "NVXA"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert secret in kept.read_text()
    command("webhooks", "secret", "NVXA")
    done = command("webhooks", "secret", "NVXA", "--finish")
    assert "1 older secret dropped" in done.stdout
    assert secret not in kept.read_text() + done.stdout + done.stderr


def test_status_says_what_waits_and_an_order_needs_a_webhook(command: Command) -> None:
    assert "no log" in command("webhooks", "status", code=3).stderr
    command.set_up()
    assert "add one to the parties' table" in command("webhooks", "status").stderr
    with_webhook(command)
    (one,) = command.json("webhooks", "status")
    assert (one["party"], one["state"], one["waiting"]) == ("NVXA", "nothing posted yet", 0)
    assert "webhook of NVXA is paused" in command("webhooks", "pause", "NVXA").stdout
    assert "SLTC has no webhook_url" in command("webhooks", "resume", "SLTC", code=2).stderr
    assert "not a time in ISO 8601" in command("webhooks", "replay", "NVXA", "--from", "yesterday", code=2).stderr


def test_a_url_with_a_password_in_it_is_refused(command: Command) -> None:
    wrong = NVXA.replace("https://", "https://user:secret@")
    assert "webhook_url" in command("import", "parties", "-", stdin=wrong, code=1).stderr
