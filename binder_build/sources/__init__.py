"""From what people call a repository to a checked-out tree of one commit."""
