"""Build: a git repository becomes an image."""
