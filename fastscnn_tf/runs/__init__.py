"""Run folders: what is in them, and finding them."""
