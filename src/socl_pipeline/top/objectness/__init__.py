"""Naive Bayes over the cues: the tables, fitting them, how reliable they are."""
