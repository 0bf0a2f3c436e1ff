"""What people at a desk ask and do, whatever screen they sit at: the command, the console, a webhook's worker."""
