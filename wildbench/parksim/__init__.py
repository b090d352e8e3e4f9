"""The embedded data set: thirteen animals before twenty cameras, rendered by our own code."""
