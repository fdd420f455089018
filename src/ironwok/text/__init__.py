"""Text without models: tokenizer, encodings, document formats, sentences, passages and windows as exact spans."""
