"""`manage.py write_state_diagrams [--check]`: docs/states.md from the transition methods of the pipeline."""

from __future__ import annotations

from django.db import models

from flowledger.outbox.documents import DocumentCommand
from workstream.machines import machine_table, state_field
from workstream.models import Candidate, Proposal, Pursuit, Signal, Task
from workstream.rules import DEFAULTS

HEAD = """\
# State machines

Written by `manage.py write_state_diagrams` from the transition methods; do not edit. Arrows are labelled with the
verb: the method on the model and, with the model's name, the service. A move that is not drawn answers 422 with the
moves that are. Gates are the defaults of `workstream/rules.py`: a legal move that a gate holds back answers 409.
"""
MACHINES: tuple[type[models.Model], ...] = (Signal, Candidate, Pursuit, Proposal, Task)
GATED: tuple[type[models.Model], ...] = (Pursuit,)


class Command(DocumentCommand):
    help = "Write docs/states.md from the state machines of the pipeline."
    page = "states.md"

    def text(self) -> str:
        return "\n".join([HEAD, *(_section(model) for model in MACHINES)]).rstrip("\n") + "\n"


def _section(model: type[models.Model]) -> str:
    states = [str(value) for value, _ in state_field(model).choices or ()]
    machine = machine_table(model)
    # In the order of the states, which is the order of the road.
    table = {state: {to: machine[state][to] for to in states if to in machine[state]} for state in states}
    initial = str(state_field(model).get_default())
    lines = [f"## {model.__name__}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {initial}"]
    lines += [
        f"    {source} --> {target}: {verb}" for source, targets in table.items() for target, verb in targets.items()
    ]
    lines += [f"    {source} --> [*]" for source, targets in table.items() if not targets]
    lines += ["```", "", "| from | to |", "|---|---|"]
    lines += [f"| {source} | {', '.join(targets) or '–'} |" for source, targets in table.items()]
    if model in GATED:
        lines += ["", "| entering | requires |", "|---|---|"]
        lines += [f"| {stage} | {', '.join(names).replace('_', ' ')} |" for stage, names in DEFAULTS.gates.items()]
    return "\n".join([*lines, ""])
