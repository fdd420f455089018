"""Claims about Transformers, re-run: variants, probes, runs with their seeds, figures, and a verdict for each claim.

layers, depth, ranks: probes of any stack of blocks, ours or one of Hugging Face; callbacks: the same during training;
stories, corpus, sequences: data, generated or one's own; recipe: what a run is made of, claims included; models,
training, transfer: one small model; plan, runner: all runs of a recipe, beside each other and resumed; statistics,
verdicts: intervals over seeds and what they say; figures, page: the report; inspection: probes on a model of one's own.
"""
