"""The operations desk: what people ask and do by command line, console and webhooks."""
