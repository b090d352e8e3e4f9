"""The file that is benchmarked: its format, its codecs, and the process that opens it."""
