"""The log on Kafka, for everyone who outgrows one machine."""

from router.log.kafka.connection import KafkaSettings
from router.log.kafka.log import KafkaLog, open_kafka_log

__all__ = ["KafkaLog", "KafkaSettings", "open_kafka_log"]
