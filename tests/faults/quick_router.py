"""The router with many small transactions, so that faults fall into them: `python quick_router.py …`."""

from __future__ import annotations

from router.cli.main import main
from router.engine import worker

worker.TRANSACTION_RECORDS = 50
worker.WALKED_BILLS = 20

if __name__ == "__main__":
    main()
