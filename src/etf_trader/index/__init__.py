"""What a fund should hold."""
