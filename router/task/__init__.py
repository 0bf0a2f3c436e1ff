"""One task: the bills of one partition in memory, and what each input record does to them."""
