"""Deploy: a template becomes a running application."""
