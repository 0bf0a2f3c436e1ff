"""A story in files of real formats, for `snp-router demo` and for trying the commands. All of it is invented."""
