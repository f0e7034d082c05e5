"""The tasks, by name: each module in `tasks/` defines one as `TASK`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from mhff.errors import MHFFError, listing, nearest_to
from mhff_suite import tasks
from mhff_suite.protocol import Domain, Task


@cache
def all_tasks() -> dict[str, Task]:
    """Every task by its name, domain by domain."""
    found: list[Task] = [
        import_module(f"{tasks.__name__}.{module.name}").TASK
        for module in iter_modules(tasks.__path__)
    ]
    order = list(Domain)
    found.sort(key=lambda task: (order.index(task.domain), task.name))
    return {task.name: task for task in found}


def choose_tasks(names: Sequence[str], quick: bool = False) -> list[Task]:
    """Tasks named one by one or by their domain; all of them if none is named.

    With `quick` those that take long are left out, unless they are named. Raises MHFFError for an
    unknown name.
    """
    known = all_tasks()
    if not names:
        return [task for task in known.values() if task.in_quick or not quick]
    chosen = []
    for name in names:
        of_domain = [task for task in known.values() if task.domain == name]
        if name not in known and not of_domain:
            raise MHFFError(
                f"unknown task '{name}': {nearest_to(name, known)}the tasks are {listing(known)}, "
                f"the domains {listing(Domain)}"
            )
        chosen += [known[name]] if name in known else of_domain
    return [task for task in known.values() if task in chosen]
