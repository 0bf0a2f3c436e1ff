"""The router with short pauses and small transactions, so that faults fall into many: `python quick_router.py …`."""

from __future__ import annotations

from router.cli.main import main
from router.engine import worker
from router.log.kafka import KafkaSettings

worker.TRANSACTION_RECORDS = 50
worker.WALKED_BILLS = 20
KafkaSettings.rebalance_timeout_ms = 5_000
KafkaSettings.close_deadline_seconds = 2.0
KafkaSettings.retry_pause_seconds = 0.05
KafkaSettings.longest_retry_pause_seconds = 0.5

if __name__ == "__main__":
    main()
