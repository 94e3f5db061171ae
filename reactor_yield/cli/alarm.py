"""`reactor-yield alarm`: low yield, or a hot spot about to run away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactor_yield.cli.common import BAD_INPUT, FOUND, OK, S3, count, name_list, not_empty
from reactor_yield.files import check_output, files_together, local_copy, read_csv
from reactor_yield.tables import place

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from reactor_yield.monitoring.alarms import LowYieldAlarms


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("alarm", help="low yield, or a hot spot about to run away")
    kinds = command.add_subparsers(required=True, metavar="KIND")
    low = kinds.add_parser("yield", help="predicted yield below target by more than its error")
    low.add_argument("model", type=not_empty, help=f"model file, {S3}")
    low.add_argument("conditions", type=not_empty, help=f"CSV with the current conditions, {S3}")
    low.add_argument(
        "--baseline",
        type=not_empty,
        help=f"CSV of good operation, {S3}; default: training medians",
    )
    low.add_argument("--target", type=float, help="default: the yield predicted for the baseline")
    low.add_argument(
        "--causes", type=not_empty, help=f"CSV of the conditions that explain each alarm, {S3}"
    )
    low.add_argument("--top", type=count, default=3, help="causes to print for each alarm")
    low.add_argument(
        "--handles",
        type=not_empty,
        help="conditions an operator can set: a,b; prints mending moves",
    )
    low.add_argument("--moves", type=not_empty, help=f"CSV of the moves that mend each alarm, {S3}")
    low.add_argument(
        "--set-points", type=not_empty, help="conditions that may stand still for long: a,b"
    )
    low.set_defaults(run=_alarm_yield)
    hot = kinds.add_parser("hot-spot", help="forecast T_max from a time series")
    hot.add_argument(
        "history", type=not_empty, help=f"CSV with minute and T_max to learn from, {S3}"
    )
    hot.add_argument("recent", type=not_empty, help=f"CSV of the same kind to forecast, {S3}")
    hot.add_argument("--lead", type=int, default=1, help="samples ahead")
    hot.add_argument("--above", type=float, default=740.0, help="K, alarm when forecast above")
    hot.add_argument("--output", type=not_empty, help=f"CSV of forecasts and alarms, {S3}")
    hot.set_defaults(run=_alarm_hot_spot)


def _alarm_yield(options: argparse.Namespace) -> int:
    from reactor_yield.monitoring.alarms import low_yield_alarm
    from reactor_yield.monitoring.mending import find_mending_moves
    from reactor_yield.yield_model import load_yield_model

    for output in (options.causes, options.moves):
        if output:
            check_output(output)
    with local_copy(options.model) as path:
        model = load_yield_model(path)
    conditions = read_csv(options.conditions)
    found = low_yield_alarm(
        model,
        conditions,
        target=options.target,
        baseline=read_csv(options.baseline) if options.baseline else None,
        set_points=name_list(options.set_points) or (),
    )
    moves = None
    handles = name_list(options.handles)
    if handles or options.moves:
        in_alarm = conditions[found.rows["alarm"].to_numpy()]
        moves = find_mending_moves(
            model, in_alarm, target=found.target, handles=handles, progress=True
        )
    with files_together() as outputs:
        if options.causes:
            outputs.write_csv(options.causes, found.causes)
        if options.moves and moves is not None:
            outputs.write_csv(options.moves, moves)
    print(f"target {found.target:.4f}: {found.n_alarms} of {len(found.rows)} rows in alarm")
    _print_rows(found, moves, options.top)
    for fault in found.sensors:
        print(f"alarm: {fault.message}")
    silent = ~found.rows["judged"].to_numpy()
    if silent.any():
        first = int(silent.argmax())
        print(
            f"{int(silent.sum())} of {len(found.rows)} rows not judged, the first at "
            f"{place(conditions, first)}: {found.rows['outside'].iloc[first]}"
        )
    outside = int(((found.rows["outside"] != "") & ~silent).sum())
    if outside:
        print(f"{outside} judged rows are outside the training range, where intervals promise less")
    if silent.all():
        print("no row could be judged")
        return BAD_INPUT
    return FOUND if found.n_alarms or found.sensors else OK


def _print_rows(found: LowYieldAlarms, moves: pd.DataFrame | None, top: int) -> None:
    """Each row in alarm with its causes and the move that mends it."""
    for label, causes in found.causes.groupby("row", sort=False):
        row = found.rows.loc[label]
        print(f"row {label}: predicted {row['predicted']:.4f}, at most {row['upper']:.4f}")
        for cause in causes.head(top).itertuples():
            print(
                f"  {cause.rank}. {cause.condition} {_text(cause.baseline)} -> "
                f"{_text(cause.current)}: yield {cause.effect:+.4f}"
            )
        if moves is None:
            continue
        mine = moves[moves["row"] == label]
        if not len(mine):
            print("  no move of these handles restores the target")
            continue
        steps = ", ".join(
            f"{m.handle} {m.current:.4g} -> {m.proposed:.4g}" for m in mine.itertuples()
        )
        doubt = "" if mine["sure"].all() else " (not sure)"
        after = mine.iloc[0]
        print(
            f"  mend{doubt}: {steps}: predicted {after['predicted']:.4f} "
            f"({after['lower']:.4f} to {after['upper']:.4f}); check the hot spot first"
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _alarm_hot_spot(options: argparse.Namespace) -> int:
    from reactor_yield.monitoring.hot_spot import watch_hot_spot

    if options.output:
        check_output(options.output)
    history, recent = read_csv(options.history), read_csv(options.recent)
    found = watch_hot_spot(history, recent, lead=options.lead, above=options.above)
    if options.output:
        with files_together() as outputs:
            outputs.write_csv(options.output, found.rows)
    for fault in found.sensors:
        print(f"alarm: {fault.message}")
    for note in found.notes:
        print(note)
    n_hot = int((found.rows["alarm"] & found.rows["judged"]).sum())
    n_judged, level = found.n_judged, f"{options.above:g} K"
    print(f"{n_hot} of {n_judged} rows with a forecast are in alarm: above {level}")
    if not found.n_judged:
        print("no row could be judged")
        return BAD_INPUT
    return FOUND if found.n_alarms or found.sensors else OK
