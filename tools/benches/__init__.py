"""What ``avatar bench`` measures, one module a name."""
