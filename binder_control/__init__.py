"""Control: runs the suite on one machine."""
