"""Training of GPLinker models: events, entities and relations from annotated texts."""
