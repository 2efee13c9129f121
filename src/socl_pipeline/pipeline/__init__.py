"""What every stage shares: recipes, the cache, published artifacts, workers, progress."""
