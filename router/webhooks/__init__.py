"""Webhooks: notices posted to parties without Kafka, from their topics."""
