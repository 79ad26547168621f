"""A real Kubernetes of one node on this machine, for tests; docs/kubernetes-tests.md says how it is used."""
