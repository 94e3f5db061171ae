"""`reactor-yield predict`: predict the yield of conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactor_yield.cli.common import BAD_INPUT, OK, S3, not_empty
from reactor_yield.files import check_output, files_together, local_copy, read_csv
from reactor_yield.tables import place

if TYPE_CHECKING:
    import argparse


def add_to(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser."""
    command = commands.add_parser("predict", help="predict the yield of conditions")
    command.add_argument("model", type=not_empty, help=f"model file, {S3}")
    command.add_argument("conditions", type=not_empty, help=f"CSV, {S3}")
    command.add_argument("output", type=not_empty, help=f"CSV to write, {S3}")
    command.add_argument("--coverage", type=float, default=0.9)
    command.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> int:
    from reactor_yield.prediction import predict_table
    from reactor_yield.yield_model import load_yield_model

    check_output(options.output)
    with local_copy(options.model) as path:
        model = load_yield_model(path)
    conditions = read_csv(options.conditions)
    added = predict_table(model, conditions, coverage=options.coverage)
    # A measured yield stays beside the predicted one.
    measured = {model.target: f"{model.target}_measured"}
    answer = conditions.rename(columns=measured).drop(columns=added.columns, errors="ignore")
    answer = answer.join(added)
    unknown = added[model.target].isna().to_numpy()
    if unknown.all():
        first = added["outside"].iloc[0]
        print(f"none of the {len(answer)} rows could be predicted: {first}")
        return BAD_INPUT
    with files_together() as outputs:
        outputs.write_csv(options.output, answer)
    outside = int((~added["in_range"].astype(bool)).sum())
    print(f"{len(answer) - int(unknown.sum())} predictions written to {options.output}")
    if unknown.any():
        first_row = int(unknown.argmax())
        print(
            f"{int(unknown.sum())} rows could not be predicted, the first at "
            f"{place(conditions, first_row)}: {added['outside'].iloc[first_row]}"
        )
    print(f"{outside} of them outside the training range")
    return OK
