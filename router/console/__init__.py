"""The operations desk's pages: a small server that follows the log, keeps an index of its own, and shows it."""
