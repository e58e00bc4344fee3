"""Frames as they come: folders, videos, cameras, and what is shown of them."""
