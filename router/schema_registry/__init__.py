"""The schemas that parties need, and the read-only part of the Confluent Schema Registry API that serves them."""
