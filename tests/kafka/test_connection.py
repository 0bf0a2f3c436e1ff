"""Settings and the URL: errors are reported at once, and secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka import errors as kafka

from router.errors import FatalLogError, LogError, TaskMoved, TaskRetry, UsageError
from router.log.kafka.connection import KafkaSettings, bootstrap_of, kafka_settings
from router.log.kafka.failures import refused_topics, translate


@pytest.mark.parametrize(
    ("url", "bootstrap"),
    [("kafka://one:9093", "one:9093"), ("kafka://one,two:9000", "one:9092,two:9000"), ("kafka://one/", "one:9092")],
)
def test_the_url_names_the_brokers(url: str, bootstrap: str) -> None:
    assert bootstrap_of(url) == bootstrap


@pytest.mark.parametrize("url", ["sqlite:///x", "kafka://", "kafka://one/topic", "kafka://user:secret@one"])
def test_another_url_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        bootstrap_of(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sasl_username": "router"}, "needs sasl_password"),
        ({"ssl_certfile": "router.pem"}, "needs ssl_cafile"),
        ({"replicas": 3}, "replicas: Extra inputs are not permitted"),
        ({"sasl_password": 5, "session_timeout_ms": "soon"}, "session_timeout_ms"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kafka_settings(given)


@pytest.mark.parametrize("seconds", [1, 12, 60])
def test_a_transaction_is_given_up_before_the_broker_ends_it(seconds: float) -> None:
    settings = kafka_settings({"commit_deadline_seconds": seconds})
    assert settings.request_timeout_ms < seconds * 1000 < settings.transaction_timeout_ms


def test_a_password_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    from_file = kafka_settings({"sasl_username": "router", "sasl_password_file": file})
    given = KafkaSettings(sasl_username="router", sasl_password="hunter2")

    assert from_file.connection()["sasl_plain_password"] == given.connection()["sasl_plain_password"] == "hunter2"
    assert "hunter2" not in f"{from_file!r} {given!r} {given}"
    assert given.connection()["security_protocol"] == "SASL_PLAINTEXT"


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        kafka_settings({"ssl_cafile": tmp_path / "nowhere.pem"}).connection()


def caused(outer: BaseException, cause: BaseException) -> BaseException:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([kafka.ProducerFenced()], TaskMoved),
        ([AssertionError()], TaskMoved),
        ([kafka.IllegalOperation()], TaskMoved),
        ([kafka.KafkaTimeoutError()], TaskRetry),
        ([TimeoutError()], TaskRetry),
        ([kafka.OutOfOrderSequenceNumber()], TaskRetry),
        ([caused(kafka.KafkaError("unexpected"), kafka.InvalidTxnState())], TaskMoved),
        ([kafka.InvalidTxnState(), kafka.TransactionalIdAuthorizationFailed()], FatalLogError),
        ([kafka.MessageSizeTooLargeError()], FatalLogError),
    ],
)
def test_every_error_has_one_of_three_outcomes_and_the_gravest_wins(
    errors: list[BaseException], outcome: type[LogError]
) -> None:
    assert type(translate(errors, "committing")) is outcome


def test_topics_that_refuse_us_are_found_in_the_error() -> None:
    errors = [kafka.InvalidTxnState(), kafka.TopicAuthorizationFailedError({"a", "b"})]

    assert refused_topics(errors) == {"a", "b"}
    assert refused_topics([kafka.InvalidTxnState()]) == frozenset()
