"""`trialtune corpus build` and `trialtune adapt`: from a snapshot to an adapted encoder."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example

corpus = typer.Typer(help="Turn a snapshot into packed blocks of tokens.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")


@corpus.command(
    epilog=example("trialtune corpus build snapshot.parquet --encoder embedded:minilm-l6 --out corpus/")
)
def build(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot, or the new.parquet of a diff.")],
    encoder: Encoder,
    out: Out,
    block_size: Annotated[int, typer.Option(help="Tokens a block.")] = 128,
    heldout: Annotated[float, typer.Option(help="Share of trials kept out of training, to score on.")] = 0.05,
    exclude: Annotated[
        Path | None, typer.Option(help="A list of NCT ids to leave out: the test trials.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compose, clean, tokenise and pack the free text of every trial."""
    from trialtune.console import bar
    from trialtune.corpus.build import CorpusSettings, build_corpus
    from trialtune.models.encoders import load_tokenizer
    from trialtune.registry.ids import read_ids
    from trialtune.registry.snapshot import read_snapshot

    rows = read_snapshot(snapshot)
    with bar("reading trials", 2 * len(rows)) as progress:  # once for training, once for the held-out part
        made = build_corpus(
            rows,
            load_tokenizer(encoder),
            out,
            settings=CorpusSettings(block_size=block_size, heldout=heldout),
            exclude=frozenset(read_ids(exclude).ids) if exclude else frozenset(),
            progress=progress,
        )

    def show(result: dict[str, Any]) -> None:
        for part in ("", "heldout_"):
            typer.echo(
                f"{part or 'training_':9} {result[part + 'documents']:,} documents, "
                f"{result[part + 'blocks']:,} blocks, {result[part + 'tokens']:,} tokens"
            )

    emit(vars(made), as_json, show)


@app.command(
    epilog=example(
        "trialtune adapt corpus/new --encoder domenicrosati/ClinicalTrialBioBert --out adapter/",
        "trialtune adapt corpus/base --encoder embedded:minilm-l6 --method full --out base/",
    )
)
def adapt(
    corpus_dir: Annotated[Path, typer.Argument(help="A folder made by `trialtune corpus build`.")],
    encoder: Encoder,
    out: Out,
    method: Annotated[
        Literal["lora", "full"], typer.Option(help="lora: an adapter; full: all weights.")
    ] = "lora",
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 400,
    batch_size: Annotated[int, typer.Option(min=1, help="Blocks a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-4,
    rank: Annotated[int, typer.Option(min=1, help="LoRA rank.")] = 8,
    alpha: Annotated[int, typer.Option(min=1, help="LoRA alpha.")] = 16,
    target_modules: Annotated[
        str, typer.Option(help="Comma-separated layer names, or all-linear.")
    ] = "all-linear",
    mlm_probability: Annotated[float, typer.Option(help="Share of tokens masked in training.")] = 0.15,
    old_corpus: Annotated[Path | None, typer.Option(help="A corpus to watch for forgetting.")] = None,
    precision: Annotated[Literal["auto", "bf16", "fp32"], typer.Option(help="Arithmetic.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 13,
    as_json: AsJson = False,
) -> None:
    """Continue masked-language-model training; a killed run goes on where it was."""
    from trialtune.console import training_bar
    from trialtune.models.lora import LoraSettings
    from trialtune.stages.adapt import AdaptSettings
    from trialtune.stages.adapt import adapt as run
    from trialtune.training.settings import TrainSettings

    settings = AdaptSettings(
        method=method,
        mlm_probability=mlm_probability,
        train=TrainSettings(
            steps=steps, batch_size=batch_size, learning_rate=learning_rate, precision=precision, seed=seed
        ),
        lora=LoraSettings(r=rank, alpha=alpha, target_modules=tuple(target_modules.split(","))),
    )
    with training_bar(f"adapting ({method})") as report:
        metrics = run(corpus_dir, encoder, out, settings=settings, old_corpus=old_corpus, report=report)

    def show(result: dict[str, Any]) -> None:
        typer.echo(f"{'step':>6} {'accuracy':>9} {'loss':>7} {'perplexity':>10}")
        for entry in result["history"]:
            typer.echo("{step:>6} {accuracy:>9.4f} {loss:>7.3f} {perplexity:>10.2f}".format(**entry))
        typer.echo(f"{result['tokens_per_s']:,.0f} tokens/s; written to {out}")

    emit(metrics, as_json, show)
