"""The `fastscnn` command: thin, one command = one library call."""
