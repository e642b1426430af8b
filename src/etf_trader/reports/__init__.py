"""Rows in, frozen report out."""
