"""Real inputs of the lessons, all on this disk: sentence embeddings, everyday words, proverbs, handwritten digits."""
