"""From a sentence to a command, to a question back, or to nothing: the layers that decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ironwok.errors import ConfigError
from ironwok.home.actions import SCENES, Action, Command
from ironwok.home.config import HomeConfig
from ironwok.home.understanding.clauses import clauses_of, forbids, names_another_device, speaks_to_people
from ironwok.home.understanding.grammar import REFUSE
from ironwok.home.understanding.slots import command_of, with_plain_sources
from ironwok.home.understanding.student import Student, load_student

# Words for the classifier: what stands in the template.
LABELS: Mapping[str, str] = {
    Action.POWER_ON: "打开投影仪",
    Action.POWER_OFF: "关闭投影仪",
    Action.VOLUME_UP: "声音调大",
    Action.VOLUME_DOWN: "声音调小",
    Action.MUTE: "静音",
    Action.PLAY_PAUSE: "暂停或继续播放",
    Action.OK: "确定",
    Action.BACK: "返回上一级",
    Action.HOME: "回到主页",
    Action.MENU: "打开菜单",
    Action.UP: "向上",
    Action.DOWN: "向下",
    Action.LEFT: "向左",
    Action.RIGHT: "向右",
    Action.FOCUS: "画面对焦",
    Action.SOURCE: "切换信号源",
    Action.CANCEL: "取消操作",
    Action.STATUS: "查询投影仪状态",
    REFUSE: "与投影仪无关的话",
}
# of nine templates the one that ranked best on sentences for tuning, docs/log.md
TEMPLATE = "用户说：{}"

# a projector that goes dark by mistake annoys more than one that asks again
_SURE = 0.8


@dataclass(frozen=True, slots=True)
class Understood:
    """What became of a sentence. command: None where nothing is done; reason says why, and asks where it can.

    choices: two actions between which it is open.
    """

    text: str
    command: Command | None
    score: float
    reason: str = ""
    choices: tuple[Action, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        record: dict[str, Any] = {"text": self.text, "score": round(self.score, 3)}
        if self.command is None:
            record |= {"ending": "failed", "reason": self.reason}
        if self.choices:
            record["choices"] = [str(choice) for choice in self.choices]
        return record


class Understander(Protocol):
    def understand(self, text: str) -> Understood: ...


class StudentUnderstander:
    """By the student alone. threshold, margin: None for those that were measured with it."""

    def __init__(
        self,
        student: Student | None = None,
        *,
        sources: tuple[str, ...] = (),
        threshold: float | None = None,
        margin: float | None = None,
    ) -> None:
        self._student = student or load_student()
        self._sources = sources
        self._threshold = self._student.threshold if threshold is None else threshold
        self._margin = self._student.margin if margin is None else margin

    def understand(self, text: str) -> Understood:
        if (elsewhere := _for_others(text, self._sources)) is not None:
            return elsewhere
        whole = self._judge(text)
        if whole.command is not None or whole.choices:
            return whole
        return self._by_clauses(text) or whole

    def _by_clauses(self, text: str) -> Understood | None:
        """A command beside its reason, "I can't hear it, turn it up": one clause acts, the others say nothing else."""
        clauses = clauses_of(text)
        if len(clauses) < 2:
            return None
        judged = [self._judge(clause) for clause in clauses]
        acting = [one for one in judged if one.command is not None]
        idle = [clause for clause, one in zip(clauses, judged, strict=True) if one.command is None]
        if not acting or any(map(forbids, idle)):
            return None
        actions = list(dict.fromkeys(one.command.action for one in acting if one.command))
        score = min(one.score for one in acting)
        if len(actions) > 1:
            return Understood(text, None, score, f"one thing at a time: {' or '.join(actions)}?", tuple(actions[:2]))
        # a slot may stand in another clause: "in half an hour, shut down"
        return _with_slots(text, actions[0], score, self._sources)

    def _judge(self, text: str) -> Understood:
        guess = self._student.guess(with_plain_sources(text, self._sources))
        (first, best), (second, next_best) = guess.ranking[0], (*guess.ranking[1:], (REFUSE, 0.0))[0]
        if first == REFUSE:
            return Understood(text, None, best, "this does not seem to be for the projector")
        if guess.coverage < self._student.coverage:
            return Understood(text, None, best, "this says more than what the projector can do")
        if second != REFUSE and best - next_best < self._margin:
            choices = (Action(first), Action(second))
            return Understood(text, None, best, f"is {first} meant, or {second}?", choices)
        if best < max(self._threshold, _SURE if first in SCENES else 0.0):
            return Understood(text, None, best, f"perhaps {first} is meant; say it differently")
        return _with_slots(text, Action(first), best, self._sources)


class ClassifierUnderstander:
    """By the zero-shot classifier, any model of it. classifier: a ZeroShotClassifier.

    One pass of the model for each of nineteen labels. Scores are not calibrated: neutral texts cost four times as much
    again for every sentence, and changed nothing (docs/log.md).
    """

    def __init__(
        self, classifier: Any, *, sources: tuple[str, ...] = (), threshold: float = 0.4, margin: float = 0.1
    ) -> None:
        self._classifier = classifier
        self._sources = sources
        self._threshold = threshold
        self._margin = margin

    def understand(self, text: str) -> Understood:
        if (elsewhere := _for_others(text, self._sources)) is not None:
            return elsewhere
        labels = {str(name): words for name, words in LABELS.items()}
        (result,) = self._classifier.classify([text], labels=labels, template=TEMPLATE)
        first, second = result.labels[:2]
        best, next_best = result.scores[:2]
        if first == REFUSE:
            return Understood(text, None, best, "this does not seem to be for the projector")
        if second != REFUSE and best - next_best < self._margin:
            choices = (Action(first), Action(second))
            return Understood(text, None, best, f"is {first} meant, or {second}?", choices)
        if best < self._threshold:
            return Understood(text, None, best, f"perhaps {first} is meant; say it differently")
        return _with_slots(text, Action(first), best, self._sources)


class AgreeingUnderstander:
    """Acts only where two others take a sentence for the same; else asks back, or refuses with the first."""

    def __init__(self, first: Understander, second: Understander) -> None:
        self._first = first
        self._second = second

    def understand(self, text: str) -> Understood:
        one = self._first.understand(text)
        if one.command is None:
            return one
        other = self._second.understand(text)
        if other.command == one.command:
            return one
        if other.command is None:
            return Understood(text, None, one.score, f"perhaps {one.command.action} is meant; {other.reason}")
        choices = (one.command.action, other.command.action)
        return Understood(text, None, one.score, f"is {choices[0]} meant, or {choices[1]}?", choices)


def make_understander(config: HomeConfig) -> Understander:
    """What the configuration names. The classifier loads a model, which takes seconds."""
    part, sources = config.understanding, config.projector.sources
    if part.threshold is not None and part.engine == "both":
        raise ConfigError("understanding.threshold is for one engine; with engine = both leave it out")
    student = StudentUnderstander(sources=sources, threshold=part.threshold, margin=part.margin)
    if part.engine == "student":
        return student
    from ironwok.students import load_classifier

    bounds = {
        key: value for key, value in (("threshold", part.threshold), ("margin", part.margin)) if value is not None
    }
    classifier = ClassifierUnderstander(load_classifier(part.model), sources=sources, **bounds)
    return classifier if part.engine == "classifier" else AgreeingUnderstander(student, classifier)


def _for_others(text: str, sources: tuple[str, ...]) -> Understood | None:
    """The refusal of a sentence that plain rules see to be meant for something or somebody else."""
    if names_another_device(text, sources=sources):
        return Understood(text, None, 0.0, "this names another device")
    if speaks_to_people(text):
        return Understood(text, None, 0.0, "this may be meant for somebody in the room")
    return None


def _with_slots(text: str, action: Action, score: float, sources: tuple[str, ...]) -> Understood:
    command = command_of(action, text, sources=sources)
    if isinstance(command, str):
        return Understood(text, None, score, command)
    return Understood(text, command, score)
