"""`disruptor journal prove` and `check`: evidence that others can hold a journal against."""

from __future__ import annotations

from typing import Annotated

import typer

from disruptor.engine import cli_options as options

#: Exit code where journal, report or key are not those of the proof.
NO_MATCH = 1

Report = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", help="What `disruptor replay DIR --json` printed."),
]


def prove(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal, finished and whole.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The proof to write.")],
    report: Report = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE", help="Sign with this Ed25519 private key (PEM).")
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Write a proof of a journal: heads of its hash chain, counts, identity, and a replay's digests."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal import proof as proofs

    loaded = None if report is None else proofs.load_json(report)
    made = proofs.prove(directory, report=loaded, key_file=key)
    proofs.write_proof(made, out)
    journal = made.journal
    answer = {
        name: journal[name] for name in ("first_sequence", "last_sequence", "slot_count", "running_hash")
    }
    signer = None if made.signature is None else made.signature["public_key"]
    replayed = None if made.replay is None else made.replay["output_digest"]
    show({"proof": out, **answer, "output_digest": replayed, "signed_by": signer}, as_json=as_json)


def check(
    proof: Annotated[str, typer.Argument(metavar="FILE", help="The proof.")],
    directory: Annotated[str, typer.Argument(metavar="DIR", help="The journal to hold against it.")],
    report: Report = None,
    public_key: Annotated[
        str | None,
        typer.Option("--public-key", metavar="FILE", help="Who must have signed: PEM, or 64 hex digits."),
    ] = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> None:
    """Check offline that a journal is the one of a proof, to the byte. Exit code 1 if it is not."""
    from disruptor.engine.cli_journal import show
    from disruptor.journal import proof as proofs
    from disruptor.journal.signature import load_public_key

    loaded = proofs.load_proof(proof)
    key = None if public_key is None else load_public_key(public_key)
    own = None if report is None else proofs.load_json(report)
    problems = proofs.check(loaded, directory, report=own, public_key=key)
    answer = {
        "ok": not problems,
        "journal": directory,
        "running_hash": loaded.journal.get("running_hash"),
        "replay_bound": loaded.replay is not None,
        "replay_checked": loaded.replay is not None and report is not None,
        "signed_by": None if loaded.signature is None else loaded.signature.get("public_key"),
        "signer_checked": key is not None,
        "problems": problems,
    }
    show(answer, as_json=as_json)
    if problems:
        raise typer.Exit(NO_MATCH)
