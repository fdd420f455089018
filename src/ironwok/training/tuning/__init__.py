"""Fine-tuning of an encoder on a user's own labelled examples: labels, pairs, multiple choice, reading."""
