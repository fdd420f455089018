"""Jobs beyond labels: sentence pairs, blanks, pronouns, entities, keywords. Each is a few functions over a scorer."""

from __future__ import annotations

from ironwok.zero_shot.tasks.cloze import Cloze, adapted_to_blanks, fill_blanks, filled_blank
from ironwok.zero_shot.tasks.coreference import Reference, choose_antecedent, judge_references
from ironwok.zero_shot.tasks.entities import Entity, link_entities, type_entities
from ironwok.zero_shot.tasks.keywords import judge_keywords, rank_keywords
from ironwok.zero_shot.tasks.ranking import Candidate, Ranking
from ironwok.zero_shot.tasks.sentence_pairs import PairClassification, classify_pairs, complete_prior, share_out

__all__ = [
    "Candidate",
    "Cloze",
    "Entity",
    "PairClassification",
    "Ranking",
    "Reference",
    "adapted_to_blanks",
    "choose_antecedent",
    "classify_pairs",
    "complete_prior",
    "fill_blanks",
    "filled_blank",
    "judge_keywords",
    "judge_references",
    "link_entities",
    "rank_keywords",
    "share_out",
    "type_entities",
]
