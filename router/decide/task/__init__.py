"""One task: the bills of a partition in memory, what each record does to them, and what goes on between records."""
