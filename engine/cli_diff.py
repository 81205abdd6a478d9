"""`disruptor diff`: two journals, or one journal under two settings, handlers or versions of the code, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from disruptor.engine import cli_options as options

if TYPE_CHECKING:
    from disruptor.replay.diff_side import DiffSide

#: Exit code where the two differ.
DIFFERENT = 1
_VALUES_SHOWN = 5

Texts = list[str] | None


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A journal.")],
    b: Annotated[str | None, typer.Argument(metavar="B", help="Another; default: the same.")] = None,
    profile: options.Profile = None,
    sets: options.Sets = None,
    a_sets: Annotated[
        Texts, typer.Option("--a-set", metavar="KEY=VALUE", help="One setting of A; repeatable.")
    ] = None,
    b_sets: Annotated[
        Texts, typer.Option("--b-set", metavar="KEY=VALUE", help="One setting of B; repeatable.")
    ] = None,
    handlers: options.Handlers = None,
    a_handlers: Annotated[
        Texts, typer.Option("--a-handlers", metavar="H", help="Handlers of A alone; repeatable.")
    ] = None,
    b_handlers: Annotated[
        Texts, typer.Option("--b-handlers", metavar="H", help="Handlers of B alone; repeatable.")
    ] = None,
    a_code: Annotated[
        str | None, typer.Option("--a-code", metavar="DIR", help="Run A with the code of this checkout.")
    ] = None,
    b_code: Annotated[
        str | None, typer.Option("--b-code", metavar="DIR", help="Run B with the code of this checkout.")
    ] = None,
    pools: options.Pools = None,
    to_seq: Annotated[
        int | None, typer.Option("--to-seq", metavar="S", min=0, help="Last sequence to compare.")
    ] = None,
    all_outputs: Annotated[
        str | None,
        typer.Option("--all", metavar="FILE.jsonl", help="Write each output that only one side emitted."),
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Find the first event after which two runs differ: sequence, table, row and field. Exit code 1 if they do."""
    from disruptor.engine.cli_replay import checked_file

    def asked(journal: str, own_sets: Texts, own_handlers: Texts) -> dict[str, Any]:
        return {
            "sources": [journal],
            "profile": profile or "replay",
            "sets": [*(sets or ()), *(own_sets or ())],
            "handlers": [*(handlers or ()), *(own_handlers or ())],
            "pools": list(pools or ()),
        }

    target = checked_file("--all", all_outputs)
    side_a = _side(asked(a, a_sets, a_handlers), a_code, "--a-code")
    side_b = _side(asked(b or a, b_sets, b_handlers), b_code, "--b-code")
    answer = _compare(side_a, side_b, to_seq, target)
    if as_json:
        options.print_json(answer)
    else:
        typer.echo("\n".join(lines(answer)))
    if not answer["same"]:
        raise typer.Exit(DIFFERENT)


def _side(asked: dict[str, Any], code: str | None, option: str) -> DiffSide:
    if code is not None:
        from disruptor.engine.diff_remote import RemoteSide

        return RemoteSide(code, option, asked)
    from disruptor.replay.diff_side import LocalSide
    from disruptor.replay.request import RunRequest

    return LocalSide(
        RunRequest(
            sources=tuple(asked["sources"]),
            settings=options.settings_of(asked["profile"], "replay", asked["sets"]),
            handlers=tuple(asked["handlers"]),
            pools=tuple(asked["pools"]),
        )
    )


def _compare(a: DiffSide, b: DiffSide, to_seq: int | None, target: str | None) -> dict[str, Any]:
    """The report of a comparison; outputs that only one side emitted go to the file `target`, if there is one."""
    from disruptor.engine.progress import progress_on_stderr
    from disruptor.replay.diff import diff as compare
    from disruptor.replay.line_file import LineFile
    from disruptor.replay.request import ProgressUpdate

    with progress_on_stderr("diff") as progress:

        def tell(sequence: int) -> None:
            if progress is not None:
                progress(
                    ProgressUpdate(sequence, None if to_seq is None else to_seq + 1, "sequences", sequence)
                )

        if target is None:
            return compare(a, b, to_seq=to_seq, progress=tell)
        with LineFile(target, "--all") as file:

            def write(side: str, row: dict[str, Any]) -> None:
                file.write({"only_in": side, **row})

            answer = compare(a, b, to_seq=to_seq, listener=write, progress=tell)
    return {**answer, "all": target, "lines": file.count}


def lines(answer: dict[str, Any]) -> list[str]:
    """What a person reads."""
    found = [_heading(answer)]
    if answer["inputs"] is not None:
        found.append(f"inputs part at sequence {answer['inputs']['sequence']}: {_sides(answer['inputs'])}")
    if answer["state"] is not None:
        found += _state_lines(answer["state"], answer["sequences_apart"])
    if answer["outputs"] is not None:
        found += _output_lines(answer)
    failures = answer["failures"] or {}
    found += [f"{side.upper()} stopped: {text}" for side, text in failures.items() if text]
    for side, names in answer["not_compared"].items():
        if names:
            found.append(f"only {side.upper()} has, not compared: {', '.join(names)}")
    if "all" in answer:
        found.append(f"{answer['lines']:,} outputs in {answer['all']}")
    return found


def _heading(answer: dict[str, Any]) -> str:
    ends = answer["ends"]
    compared = f"sequences {answer['first_sequence']} to {answer['last_sequence']}"
    if answer["same"]:
        return f"the same: {compared}"
    over = "" if ends["a"] == ends["b"] else f" (A ends at {ends['a']}, B at {ends['b']})"
    return f"different: {compared}{over}"


def _state_lines(state: dict[str, Any], apart: int) -> list[str]:
    where = "by rows that are not known: the event wrote more than are kept"
    if state["table"]:
        values = f"{_value(state['a'])} in A, {_value(state['b'])} in B, {_value(state['before'])} before"
        where = f"{state['table']}[{state['key']}].{state['field']}: {values}"
    found = [f"state parts at sequence {state['sequence']}: {where}", f"  event: {_row(state['event'])}"]
    for field in state["fields"][1:_VALUES_SHOWN]:
        where = f"{field['table']}[{field['key']}].{field['field']}"
        found.append(f"  also {where}: {_value(field['a'])} in A, {_value(field['b'])} in B")
    if state["fields_differing"] > _VALUES_SHOWN:
        found.append(f"  and {state['fields_differing'] - _VALUES_SHOWN:,} more fields by this event")
    again = state["equal_again"]
    end = f"equal again after sequence {again}" if again is not None else "and stay apart"
    return [*found, f"  states differ after {apart:,} sequences, {end}"]


def _output_lines(answer: dict[str, Any]) -> list[str]:
    outputs = answer["outputs"]
    if outputs["kind"] == "order":
        return [f"outputs part at sequence {outputs['sequence']}: the same ones in another order"]
    found = [f"outputs part at sequence {outputs['sequence']}:"]
    for side in ("a", "b"):
        found += [f"  only {side.upper()}: {_row(row)}" for row in outputs[side][:_VALUES_SHOWN]]
    for side in ("a", "b"):
        counts = ", ".join(f"{name} {count:,}" for name, count in answer[f"only_in_{side}"].items())
        found.append(f"only in {side.upper()}: {counts or 'none'}")
    return found


def _sides(pair: dict[str, Any]) -> str:
    return f"A {_row(pair['a'])}; B {_row(pair['b'])}"


def _row(row: dict[str, Any]) -> str:
    rest = (f"{name}={value}" for name, value in row.items() if name not in ("sequence", "type"))
    return " ".join((row["type"], *rest))


def _value(value: Any) -> str:
    return "absent" if value is None else str(value)
