"""Encoders that were fine-tuned on labelled examples, loaded and used.

Labels of a text, labels of a pair, the right one of several answers, the words that answer a question.
"""
