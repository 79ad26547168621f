"""Dockerfiles of repositories: how they are read, what they may not do, what they lead to."""
