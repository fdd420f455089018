"""Training: recipes, corpus store, pairs and masks, the resumable pretraining loop."""
