"""A notification router for second notify parties. The decision core is usable as a library: `router.decide`."""
