"""Soft contrastive learning: the paper's soft samples and loss."""
