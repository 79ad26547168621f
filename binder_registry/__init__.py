"""Registry: an image and how to launch it become a template."""
