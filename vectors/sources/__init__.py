"""The sources of the vectors: one module per topic, and what they share."""
