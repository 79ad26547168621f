"""Tests with a real Kubernetes."""
