"""A story in real-format files, for `snp-router demo` and for trying the commands by hand. All of it is invented."""
