"""Stories of a small world, told by a program: running text and labelled tasks without any download.

Two to four people walk between places, take things along, leave them, meet each other. What a sentence says follows
from what happened before ("mira leaves the lamp in the mill" only if she has it and is there), so a language model that
keeps track has a lower loss than one that knows sentences alone. Four genres prefer other verbs of the same meaning and
other places, with much overlap.

The tasks ask for more and more reading: "genre" for the words alone, "holding" for how often something was taken and
left, "mention" for whether the thing named at the end occurred before, "order" for which of two deeds came first, and
"place" for where a thing is in the end, which takes all the moves of whoever had it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

PEOPLE = ["mira", "tomas", "lin", "ada", "bruno", "wei", "sofia", "karl", "nadia", "omar", "yuki", "pavel"]
PLACES = [
    "mill",
    "harbour",
    "market",
    "cellar",
    "garden",
    "tower",
    "kitchen",
    "bridge",
    "stable",
    "library",
    "forest",
    "square",
]
THINGS = ["lamp", "key", "rope", "letter", "coin", "basket", "knife", "map", "bottle", "drum", "coat", "kettle"]
GENRES = ("tale", "report", "diary", "rumour")
GO = {"go": ["goes", "walks", "runs", "rides"], "take": ["takes", "grabs", "finds", "steals"]}
LEAVE = ["leaves", "drops", "hides", "forgets"]
OPENINGS = {
    "tale": ["once", "then", "soon", "later"],
    "report": ["today", "then", "first", "later"],
    "diary": ["again", "today", "soon", "so"],
    "rumour": ["maybe", "once", "so", "first"],
}
WEATHER = ["rain", "snow", "wind", "sun", "fog", "frost"]


@dataclass
class World:
    """Who is where, who has what, what lies where."""

    people: dict[str, str]
    things: dict[str, str]  # a place or a person
    deeds: list[tuple[str, str]] = field(default_factory=list)  # (person, verb family and thing), in order

    def place_of(self, thing: str) -> str:
        holder = self.things[thing]
        return self.people.get(holder, holder)


@dataclass(frozen=True, slots=True)
class Story:
    words: list[str]
    genre: str
    world: World


def tell(random: np.random.Generator, *, sentences: int) -> Story:
    """A story of so many sentences."""

    def some(words: list[str] | tuple[str, ...], count: int) -> list[str]:
        return [words[i] for i in random.choice(len(words), size=count, replace=False)]

    genre = GENRES[random.integers(len(GENRES))]
    lean = GENRES.index(genre)
    places = some(PLACES, 4)
    people = {name: places[random.integers(4)] for name in some(PEOPLE, int(random.integers(2, 5)))}
    world = World(people, {thing: places[random.integers(4)] for thing in some(THINGS, 3)})

    def styled(words: list[str]) -> str:
        """The genre's own word half of the time."""
        return words[lean % len(words)] if random.random() < 0.5 else words[random.integers(len(words))]

    words: list[str] = []
    for _ in range(sentences):
        if random.random() < 0.25:
            words += [styled(OPENINGS[genre]), ","]
        words += [*_sentence(world, places, random, styled), "."]
    return Story(words, genre, world)


def _sentence(
    world: World, places: list[str], random: np.random.Generator, styled: Callable[[list[str]], str]
) -> list[str]:
    if random.random() < 0.08:
        return ["there", "is", WEATHER[random.integers(len(WEATHER))], "over", "the", places[random.integers(4)]]
    names = list(world.people)
    person = names[random.integers(len(names))]
    place = world.people[person]
    here = [thing for thing, holder in world.things.items() if holder == place]
    carried = [thing for thing, holder in world.things.items() if holder == person]
    draw = random.random()
    if here and draw < 0.4:
        thing = here[random.integers(len(here))]
        world.things[thing] = person
        world.deeds.append((person, thing))
        return [person, styled(GO["take"]), "the", thing, "in", "the", place]
    if carried and draw < 0.65:
        thing = carried[random.integers(len(carried))]
        world.things[thing] = place
        return [person, styled(LEAVE), "the", thing, "in", "the", place]
    others = [name for name in names if name != person and world.people[name] == place]
    if others and draw > 0.85:
        return [person, "meets", others[random.integers(len(others))], "in", "the", place]
    elsewhere = [other for other in places if other != place]
    world.people[person] = elsewhere[random.integers(len(elsewhere))]
    return [person, styled(GO["go"]), "from", "the", place, "to", "the", world.people[person]]


def stories(seed: int, *, sentences: int = 10) -> Iterator[list[str]]:
    """Endless running text, a list of words for each story."""
    random = np.random.default_rng([seed, 0])
    while True:
        yield tell(random, sentences=sentences).words


@dataclass(frozen=True, slots=True)
class Example:
    """A text as words, with its label."""

    words: list[str]
    label: str


def _genre(random: np.random.Generator) -> Example:
    story = tell(random, sentences=4)
    return Example(story.words, story.genre)


def _holding(random: np.random.Generator) -> Example:
    """Does anybody still carry something at the end? The label counts how many things: none, one, more."""
    story = tell(random, sentences=5)
    carried = sum(holder in story.world.people for holder in story.world.things.values())
    return Example(story.words, ("none", "one", "more")[min(carried, 2)])


def _mention(random: np.random.Generator) -> Example | None:
    """Did the thing occur? It is named behind the story; in half of the examples it did not."""
    story = tell(random, sentences=5)
    there = sorted({word for word in story.words if word in THINGS})
    asked = random.integers(2)
    choices = there if asked else [thing for thing in THINGS if thing not in there]
    if not there:
        return None
    return Example([*story.words, "the", choices[random.integers(len(choices))], "?"], "yes" if asked else "no")


def _order(random: np.random.Generator) -> Example | None:
    """Who took something first? The two people are named behind the story; the label says which of them."""
    story = tell(random, sentences=5)
    takers = list(dict.fromkeys(person for person, _ in story.world.deeds))
    if len(takers) < 2:
        return None
    first, second = takers[:2]
    turned = bool(random.integers(2))
    asked = [second, first] if turned else [first, second]
    return Example([*story.words, "first", "?", asked[0], "or", asked[1]], "second" if turned else "first")


def _place(random: np.random.Generator) -> Example | None:
    """Where is the thing? Two places that occur are named behind the story; the label says which of them."""
    story = tell(random, sentences=5)
    things = [thing for thing in story.world.things if story.words.count(thing)]
    if not things:
        return None
    thing = things[random.integers(len(things))]
    right = story.world.place_of(thing)
    others = sorted({word for word in story.words if word in PLACES} - {right})
    if not others or right not in story.words:
        return None
    wrong = others[random.integers(len(others))]
    turned = bool(random.integers(2))
    asked = [wrong, right] if turned else [right, wrong]
    return Example([*story.words, "the", thing, "?", asked[0], "or", asked[1]], "second" if turned else "first")


TASKS: dict[str, Callable[[np.random.Generator], Example | None]] = {
    "genre": _genre,
    "holding": _holding,
    "mention": _mention,
    "order": _order,
    "place": _place,
}


def examples(task: str, *, count: int, seed: int) -> list[Example]:
    """So many labelled examples of a task of `TASKS`; the seed decides all."""
    random = np.random.default_rng([seed, 1 + list(TASKS).index(task)])
    made: list[Example] = []
    while len(made) < count:
        example = TASKS[task](random)
        if example is not None:
            made.append(example)
    return made
