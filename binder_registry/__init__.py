"""The registry service: templates, each an image and how to launch it, with every revision kept."""
