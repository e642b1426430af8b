"""The books, double entry per asset."""
