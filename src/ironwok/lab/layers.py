"""Finding the blocks of a model, whoever wrote it, and hearing what goes in and out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ironwok.errors import ModelError


@dataclass(frozen=True, slots=True)
class LayerStack:
    """Blocks of one kind on top of each other. name: where they hang in the model, such as "bert.encoder.layer"."""

    name: str
    layers: nn.ModuleList

    def __len__(self) -> int:
        return len(self.layers)


def find_layers(model: nn.Module) -> list[LayerStack]:
    """The stacks of blocks of a model: one of an encoder or decoder, two where it has both.

    A stack is a list of two modules of one class or more that lies in no other stack; lists of plain layers (linear,
    norms, convolutions) are none. Raises ModelError where there is nothing of the kind.
    """
    found: list[LayerStack] = []
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{stack.name}.") for stack in found)
        if not inside and isinstance(module, nn.ModuleList) and _is_stack(module):
            found.append(LayerStack(name, module))
    if not found:
        raise ModelError(
            f"{type(model).__name__} has no list of two equal blocks or more: the probes look at stacks of blocks"
        )
    return found


def _is_stack(modules: nn.ModuleList) -> bool:
    kinds = {type(module) for module in modules}
    return len(modules) > 1 and len(kinds) == 1 and any(True for _ in modules[0].children())


def first_tensor(value: Any) -> Tensor:
    """The hidden states among what goes into a block or comes out of it."""
    if isinstance(value, Tensor):
        return value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, Tensor):
            return item
    raise ModelError(f"no tensor was found in a {type(value).__name__} that a block takes or gives")


@contextmanager
def recorded_states(stack: LayerStack) -> Iterator[list[Tensor]]:
    """While inside, a forward pass fills the list with x_0 ... x_N: the input of each block, and the last output."""
    states: list[Tensor] = []

    def before(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        states.append(first_tensor(arguments or named).detach())

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        states.append(first_tensor(output).detach())

    with ExitStack() as hooks:
        for layer in stack.layers:
            hooks.callback(layer.register_forward_pre_hook(before, with_kwargs=True).remove)
        hooks.callback(stack.layers[-1].register_forward_hook(after).remove)
        yield states


@contextmanager
def dropped(stack: LayerStack, layer: int) -> Iterator[None]:
    """While inside, a block passes on what it gets, unchanged."""

    def skip(_: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any], output: Any) -> Any:
        unchanged = first_tensor(arguments or named)
        return unchanged if isinstance(output, Tensor) else (unchanged, *output[1:])

    hook = stack.layers[layer].register_forward_hook(skip, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def swapped(stack: LayerStack, layer: int) -> Iterator[None]:
    """While inside, a block and its upper neighbour have changed places."""
    below, above = stack.layers[layer], stack.layers[layer + 1]
    stack.layers[layer], stack.layers[layer + 1] = above, below
    try:
        yield
    finally:
        stack.layers[layer], stack.layers[layer + 1] = below, above


Loss = Callable[[], Tensor]
