"""What trades and by which rules."""
