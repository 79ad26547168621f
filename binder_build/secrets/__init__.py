"""Secrets of builds: those of the operator's file, those kept sealed, and how steps get them."""
