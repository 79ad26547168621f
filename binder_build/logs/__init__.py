"""Logs of builds: written, kept, shared between services, followed."""
