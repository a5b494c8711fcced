"""Data sets from their publishers."""
