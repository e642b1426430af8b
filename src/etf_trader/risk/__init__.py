"""Limits on what may be sent, and whether an account may trade at all."""
