"""Which targets a plant can meet: labelled samples, certified frontiers and learned regions."""
