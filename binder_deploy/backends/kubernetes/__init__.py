"""Applications on a Kubernetes cluster: pure manifests, and the adapter that brings them there."""
