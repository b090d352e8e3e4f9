"""Tables for a terminal: each function turns plain data into `rich` tables."""
