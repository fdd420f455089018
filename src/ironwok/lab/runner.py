"""All runs of a recipe: beside each other on the cores, each result written when it is there, resumed after a stop."""

from __future__ import annotations

import json
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ironwok.errors import CheckpointError, OutputError, RecipeError
from ironwok.files import replace_file, writing
from ironwok.lab.corpus import LabData, load_data, prepare_data
from ironwok.lab.plan import RunSpec, cells_of, choose, final_specs, sweep_specs
from ironwok.lab.recipe import LabRecipe, NormsRecipe, parse_lab_recipe
from ironwok.progress import progress_bar

if TYPE_CHECKING:
    from ironwok.text.documents import Skip

FORMAT = 1
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LabResults:
    """What a folder holds.

    meta: of the runs: command, hardware, seeds. sweeps, finals: records of finished runs. guessing: task -> accuracy of
    always answering the most frequent label.
    """

    recipe: LabRecipe
    meta: dict[str, Any]
    sweeps: list[Record]
    finals: list[Record]
    guessing: dict[str, float]


def run_lab(
    recipe: LabRecipe,
    *,
    out: Path,
    texts: Sequence[Path] = (),
    tasks: Mapping[str, Path] | None = None,
    workers: int | None = None,
    device: str | None = None,
    command: str = "",
    progress: bool = False,
    on_phase: Callable[[str, int, int], None] | None = None,
    on_skip: Callable[[Skip], None] | None = None,
) -> LabResults:
    """Run what is not there yet, and return all of it.

    out: folder of the results; a folder that holds another recipe is refused, other seeds are added to it.
    texts, tasks: data of one's own, see `prepare_data`; kept in the folder as tokens at the first start.
    workers: processes, each on one thread; by default one for each core, or one where there is a GPU.
    command: as typed, for the page. on_phase: told "sweep" or "final", the runs of it, and those already there.
    on_skip: told at the first start of what could not be read of ``texts`` and ``tasks``.
    Raises RecipeError, DataError, OutputError, CheckpointError. What is finished stays on the disk whatever happens.
    """
    cells_of(recipe)  # refuses what does not fit together before anything is written
    with writing(out):
        (out / "runs").mkdir(parents=True, exist_ok=True)
    _claim_folder(recipe, out, texts=texts, tasks=tasks, command=command)
    if load_data(out) is None:
        transfer = recipe.transfer if isinstance(recipe, NormsRecipe) else None
        prepare_data(recipe.data, transfer=transfer, texts=texts, tasks=tasks, on_skip=on_skip).save(out)
    device = device or _default_device()
    workers = workers or (1 if device != "cpu" else _cores())
    began = time.monotonic()
    done_before = len(_records(out))
    try:
        for phase in ("sweep", "final"):
            specs = (
                sweep_specs(recipe)
                if phase == "sweep"
                else final_specs(recipe, choose(one for one in _records(out) if one["spec"]["phase"] == "sweep"))
            )
            missing = [spec for spec in specs if not _has(out, spec)]
            if on_phase is not None:
                on_phase(phase, len(specs), len(specs) - len(missing))
            with progress_bar(phase, total=len(missing), shown=progress) as advance:
                _run_all(recipe, out, missing, workers=workers, device=device, advance=advance)
    finally:
        _note_time(out, began=began, ran=len(_records(out)) - done_before, workers=workers, device=device)
    return load_results(out)


def load_results(out: Path) -> LabResults:
    """What a folder holds so far. Raises OutputError where it is no folder of the lab."""
    meta = _read_json(out / "lab.json")
    if meta.get("format") != FORMAT:
        raise OutputError(
            f"{out / 'lab.json'}: format {meta.get('format')!r} is not {FORMAT}, which this version reads"
        )
    recipe = parse_lab_recipe(meta["recipe"], source=str(out / "lab.json"))
    records = _records(out)
    wanted = {cell.name for cell in cells_of(recipe)}
    mine = [record for record in records if RunSpec.from_dict(record["spec"]).cell.name in wanted]
    return LabResults(
        recipe,
        meta,
        [record for record in mine if record["spec"]["phase"] == "sweep"],
        [record for record in mine if record["spec"]["phase"] == "final"],
        {name: task.majority for name, task in data.tasks.items()} if (data := load_data(out)) else {},
    )


def _claim_folder(
    recipe: LabRecipe, out: Path, *, texts: Sequence[Path], tasks: Mapping[str, Path] | None, command: str
) -> None:
    """Write ``lab.json`` at the first start; later, refuse another recipe and note the new seeds."""
    path = out / "lab.json"
    data = {"texts": [path.name for path in texts], "tasks": {name: path.name for name, path in (tasks or {}).items()}}
    values = recipe.model_dump(mode="json")
    if path.exists():
        meta = _read_json(path)
        then, now = ({**one, "seeds": []} for one in (meta["recipe"], values))
        differing = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
        if differing or meta["data"] != data:
            raise RecipeError(
                f"{out} holds runs of another recipe or of other data ({', '.join(differing) or 'data'} differ): "
                "claims and settings are fixed before a run; take another folder with --out"
            )
    else:
        meta = {"format": FORMAT, "recipe": values, "data": data, "seed_sets": [], "commands": [], "sessions": []}
        if any((out / "runs").iterdir()):
            raise OutputError(f"{out} has runs but no lab.json: take another folder with --out")
    if values["seeds"] not in meta["seed_sets"]:
        meta["seed_sets"].append(values["seeds"])
    if command and command not in meta["commands"]:
        meta["commands"].append(command)
    _write_json(path, meta)


def _note_time(out: Path, *, began: float, ran: int, workers: int, device: str) -> None:
    if not ran:
        return
    meta = _read_json(out / "lab.json")
    session = {"seconds": round(time.monotonic() - began, 1), "runs": ran, "workers": workers, **hardware(device)}
    meta["sessions"].append(session)
    _write_json(out / "lab.json", meta)


def hardware(device: str) -> dict[str, str]:
    """What ran it, for the page."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass  # only Linux has it
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _path(out: Path, spec: RunSpec) -> Path:
    return out / "runs" / f"{spec.name}.json"


def _has(out: Path, spec: RunSpec) -> bool:
    path = _path(out, spec)
    return path.exists() and _read_json(path).get("spec") == spec.to_dict()


def _records(out: Path) -> list[Record]:
    return [_read_json(path) for path in sorted((out / "runs").glob("*.json"))]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OutputError(f"{path} is not there: is this a folder that `ironwok lab` wrote?") from error
    except (OSError, ValueError) as error:
        raise OutputError(f"{path} is damaged ({error}): delete it, and the same command makes it again") from error
    if not isinstance(value, dict):
        raise OutputError(f"{path} is damaged (no JSON object): delete it, and the same command makes it again")
    return value


def _write_json(path: Path, value: Any) -> None:
    replace_file(path, json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8"))


def _run_all(
    recipe: LabRecipe,
    out: Path,
    specs: list[RunSpec],
    *,
    workers: int,
    device: str,
    advance: Callable[[int], None],
) -> None:
    if workers == 1 or len(specs) < 2:
        with _one_thread():
            for spec in specs:
                _write_json(_path(out, spec), execute(recipe, _data_of(out), spec, device=device))
                advance(1)
        return
    values = recipe.model_dump(mode="json")
    # spawned, not forked: torch's threads do not survive a fork
    pool = ProcessPoolExecutor(min(workers, len(specs)), mp_context=get_context("spawn"), initializer=_prepare_worker)
    try:
        running = [pool.submit(_work, values, str(out), spec.to_dict(), device) for spec in specs]
        for one in as_completed(running):
            one.result()
            advance(1)
    except BrokenProcessPool as error:
        raise OutputError(
            f"a worker process ended before its run was done (too little memory?): what is finished is kept in {out}, "
            "the same command goes on; --workers takes fewer at a time"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker() -> None:
    import torch

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it lets the runs under way finish


def _work(values: dict[str, Any], out: str, spec: dict[str, Any], device: str) -> None:
    one = RunSpec.from_dict(spec)
    recipe = parse_lab_recipe(values, source="the recipe")
    _write_json(_path(Path(out), one), execute(recipe, _data_of(Path(out)), one, device=device))


@lru_cache(maxsize=1)
def _cached_data(out: Path, changed: float) -> LabData:
    data = load_data(out)
    if data is None:
        raise CheckpointError(f"{out} has no data.safetensors: start in another folder")
    return data


def _data_of(out: Path) -> LabData:
    path = out / "data.safetensors"
    return _cached_data(out, path.stat().st_mtime if path.exists() else 0.0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads; and the same number of threads gives the same bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def execute(recipe: LabRecipe, data: LabData, spec: RunSpec, *, device: str = "cpu") -> Record:
    """One run: what `norms` or `masks` measured, with what it was and how many seconds it took."""
    import torch

    from ironwok.lab.masks import run_masks
    from ironwok.lab.norms import run_norms

    began = time.monotonic()
    where = torch.device(device)
    if isinstance(recipe, NormsRecipe):
        measured = run_norms(recipe, data, spec, device=where)
    else:
        measured = run_masks(recipe, data, spec, device=where)
    return {"spec": spec.to_dict(), **measured, "seconds": round(time.monotonic() - began, 2)}
