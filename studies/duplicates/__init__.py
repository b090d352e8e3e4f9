"""How many altered copies of an image the duplicate check finds."""
