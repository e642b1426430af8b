"""What clients ask, and what is sent for it."""
