"""What a running router shows of itself: figures for Prometheus, and whether it lives and is ready."""
