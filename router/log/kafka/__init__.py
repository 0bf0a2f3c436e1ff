"""The log on Kafka, for everyone who outgrows one machine."""

from router.log.kafka.log import KafkaLog, open_kafka_log
from router.log.kafka.settings import KafkaSettings

__all__ = ["KafkaLog", "KafkaSettings", "open_kafka_log"]
