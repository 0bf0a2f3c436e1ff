"""The log that carries everything: one small interface, SQLite for one machine, Kafka for all who outgrow it."""
