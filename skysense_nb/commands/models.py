"""Commands about models: pre-training, and what it would need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skysense_nb.commands.application import AsJson, app, print_json


@app.command("pretrain")
def pretrain_command(
    recipe: Annotated[
        str | None, typer.Argument(help="YAML file, or skysense-tiny or skysense-v2-tiny; none: the defaults.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; a run found there goes on.")] = Path("runs/pretraining"),
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, instead of the recipe's.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    nodes: Annotated[int, typer.Option(help="Machines, as torchrun or SLURM started them.")] = 1,
    strategy: Annotated[str, typer.Option(help="auto, ddp or fsdp.")] = "auto",
    card: Annotated[bool, typer.Option(help="Also measure the weights on held-out places and write a card.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pre-train a model, or go on with a run that was stopped."""
    from skysense_nb.pretraining.model_card import write_card
    from skysense_nb.pretraining.recipe import Recipe, read_recipe
    from skysense_nb.pretraining.run import pretrain

    changes = {} if steps is None else {"steps": steps}
    chosen = read_recipe(recipe, **changes) if recipe else Recipe(**changes)
    machine = {"accelerator": accelerator, "devices": devices, "nodes": nodes, "strategy": strategy}
    done = pretrain(chosen, out, **machine, progress=sys.stderr.isatty() and not as_json)
    if done.module.global_rank:
        return
    last = done.curves().iloc[-1]
    told = {"folder": done.folder, "complete": done.complete, "steps": int(last.name), "loss": float(last["loss"])}
    told |= {"card": write_card(done.folder, done.folder / "card")} if card and done.complete else {}
    if as_json:
        print_json(told)
        return
    print(f"{told['steps']} steps, loss {told['loss']:.3g}. Weights in {done.folder / 'model.safetensors'}")
    if "card" in told:
        print(told["card"].read_text())


@app.command("plan")
def plan_command(
    recipe: Annotated[
        Path | None, typer.Argument(help="YAML file of a pre-training recipe; none: its defaults.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Model; wins over the recipe, as the next two do.")] = None,
    batch: Annotated[int | None, typer.Option(help="Tiles per step on each GPU.")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32 or bf16.")] = None,
    gpus: Annotated[int, typer.Option(help="How many.")] = 1,
    machine: Annotated[str, typer.Option(help="h200, a100, or here to measure this one.")] = "h200",
    strategy: Annotated[str, typer.Option(help="auto, single, ddp or fsdp.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Say what memory and time a pre-training run needs, before it is started."""
    from skysense_nb.pretraining import machines, planner, read_recipe
    from skysense_nb.pretraining.recipe import make_recipe

    given = {"preset": preset, "batch": batch, "precision": precision}
    changes = {name: value for name, value in given.items() if value is not None}
    wanted = read_recipe(recipe, **changes) if recipe else make_recipe(changes)
    print("Rehearsing a step ...", file=sys.stderr)
    planned = planner.plan(wanted, machines.machine(machine), gpus, strategy)
    print_json(planned.to_dict()) if as_json else print(planned)
