"""A data set: a card, its labels and its pictures."""
