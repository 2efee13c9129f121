"""Soft contrastive learning: soft samples, the loss, training patches, the trainer."""
