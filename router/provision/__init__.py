"""Who may do what on the brokers: declared from the parties registered, compared with what is found, and mended."""
