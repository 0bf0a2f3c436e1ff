"""Notices by webhook, for parties without Kafka: another reader of their topics, which posts what it reads."""
