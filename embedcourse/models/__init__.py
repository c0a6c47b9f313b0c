"""The systems that the lessons build, one file a system; `encoders` turns pictures into embeddings."""
