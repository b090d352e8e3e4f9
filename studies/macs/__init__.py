"""macs."""
