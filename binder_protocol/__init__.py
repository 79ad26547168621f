"""What is said on the wire: names, models, errors and the table of operations."""
