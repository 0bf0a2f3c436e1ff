"""Who must know: parties, sailings, and who of them is told of a bill."""
