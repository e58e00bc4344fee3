"""Files that may come from anybody are read bounded; ours are written whole or not at all."""
