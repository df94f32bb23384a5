"""`trialtune corpus build` and `trialtune adapt`: from a snapshot to an adapted encoder."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example, whole_number

_LENGTH, _LORA, _WATCH, _MACHINE = "How long", "LoRA", "Watching", "Machine"

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
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as there are cores when not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compose, clean, tokenise and pack the free text of every trial."""
    from trialtune.console import bar
    from trialtune.corpus.build import CorpusSettings, build_corpus, count_rows
    from trialtune.models.encoders import load_tokenizer
    from trialtune.registry.readers.id_list import read_ids
    from trialtune.workers import cores

    with bar("reading trials", count_rows(snapshot)) as progress:
        made = build_corpus(
            snapshot,
            load_tokenizer(encoder),
            out,
            settings=CorpusSettings(block_size=block_size, heldout=heldout),
            exclude=frozenset(read_ids(exclude).ids) if exclude else frozenset(),
            workers=workers or cores(),
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
        "trialtune adapt corpus/base --encoder embedded:minilm-l6 --method full --tokens 1e7 --out base/",
        "torchrun --nproc-per-node 2 -m trialtune adapt corpus/new --encoder base/ --out adapter/",
    )
)
def adapt(
    corpus_dir: Annotated[Path, typer.Argument(help="A folder made by `trialtune corpus build`.")],
    encoder: Encoder,
    out: Out,
    method: Annotated[
        Literal["lora", "full"], typer.Option(help="lora: an adapter; full: all weights.")
    ] = "lora",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many optimiser steps.", rich_help_panel=_LENGTH)
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(help="Stop after so many passes; 1 when no limit is given.", rich_help_panel=_LENGTH),
    ] = None,
    tokens: Annotated[
        str | None, typer.Option(help="Stop after so many tokens: 10_000_000.", rich_help_panel=_LENGTH)
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(help="Stop when the time is up.", rich_help_panel=_LENGTH)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after so many scorings without a better loss; keep the best weights.",
            rich_help_panel=_LENGTH,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Blocks a step, over all processes.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 5e-4,
    schedule: Annotated[
        Literal["linear", "cosine", "constant"], typer.Option(help="Learning rate after the warm-up.")
    ] = "linear",
    mlm_probability: Annotated[float, typer.Option(help="Share of tokens masked in training.")] = 0.15,
    whole_words: Annotated[bool, typer.Option(help="Mask all pieces of a word together.")] = False,
    dropout: Annotated[float, typer.Option(help="Dropout in the encoder while adapting.")] = 0.0,
    documents_apart: Annotated[
        bool, typer.Option(help="No attention between documents that share a block.")
    ] = False,
    rank: Annotated[int, typer.Option(min=1, help="LoRA rank.", rich_help_panel=_LORA)] = 8,
    alpha: Annotated[int, typer.Option(min=1, help="LoRA alpha.", rich_help_panel=_LORA)] = 16,
    lora_dropout: Annotated[float, typer.Option(help="Dropout in the adapter.", rich_help_panel=_LORA)] = 0.0,
    target_modules: Annotated[
        str, typer.Option(help="Comma-separated layer names, or all-linear.", rich_help_panel=_LORA)
    ] = "all-linear",
    rslora: Annotated[bool, typer.Option(help="Scale by alpha / sqrt(rank).", rich_help_panel=_LORA)] = False,
    dora: Annotated[bool, typer.Option(help="Weight-decomposed LoRA (DoRA).", rich_help_panel=_LORA)] = False,
    old_corpus: Annotated[
        Path | None, typer.Option(help="A corpus to watch for forgetting.", rich_help_panel=_WATCH)
    ] = None,
    evaluate_every: Annotated[
        int, typer.Option(min=1, help="Steps between scorings.", rich_help_panel=_WATCH)
    ] = 100,
    tracker: Annotated[
        list[str] | None,
        typer.Option(help="tensorboard, wandb, mlflow, trackio...; repeatable.", rich_help_panel=_WATCH),
    ] = None,
    precision: Annotated[
        Literal["auto", "bf16", "fp32"],
        typer.Option(help="Arithmetic; auto: bf16 where native.", rich_help_panel=_MACHINE),
    ] = "auto",
    accumulate: Annotated[
        int, typer.Option(min=1, help="Cut a batch into so many parts.", rich_help_panel=_MACHINE)
    ] = 1,
    gradient_checkpointing: Annotated[
        bool, typer.Option(help="Less memory, about a third slower.", rich_help_panel=_MACHINE)
    ] = False,
    compile_encoder: Annotated[
        bool, typer.Option("--compile", help="torch.compile the encoder.", rich_help_panel=_MACHINE)
    ] = False,
    checkpoint_every: Annotated[
        int, typer.Option(min=1, help="Steps between checkpoints.", rich_help_panel=_MACHINE)
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 13,
    dry_run: Annotated[bool, typer.Option(help="Only say how much would be trained.")] = False,
    as_json: AsJson = False,
) -> None:
    """Continue masked-language-model training; a killed run goes on where it was."""
    from accelerate import PartialState

    from trialtune.models.lora import LoraSettings
    from trialtune.stages.adapt import AdaptSettings, plan, read_texts
    from trialtune.stages.adapt import adapt as run
    from trialtune.training.progress import training_bar
    from trialtune.training.settings import TrainSettings

    settings = AdaptSettings(
        method=method,
        mlm_probability=mlm_probability,
        whole_words=whole_words,
        dropout=dropout,
        documents_apart=documents_apart,
        gradient_checkpointing=gradient_checkpointing,
        compile=compile_encoder,
        train=TrainSettings(
            steps=steps,
            epochs=epochs,
            tokens=whole_number("--tokens", tokens),
            max_minutes=max_minutes,
            patience=patience,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=learning_rate,
            schedule=schedule,
            evaluate_every=evaluate_every,
            checkpoint_every=checkpoint_every,
            precision=precision,
            trackers=tuple(tracker or ()),
            seed=seed,
        ),
        lora=LoraSettings(
            r=rank,
            alpha=alpha,
            dropout=lora_dropout,
            target_modules=tuple(target_modules.split(",")),
            use_rslora=rslora,
            use_dora=dora,
        ),
    )
    if dry_run:
        texts = read_texts(corpus_dir, encoder, heldout_blocks=1, old_corpus=old_corpus)
        _, planned = plan(texts, settings)
        emit(
            vars(planned),
            as_json,
            lambda result: typer.echo(
                "{steps:,} steps, {tokens:,} tokens, {epochs:.2f} passes over {blocks:,} blocks of "
                "{block_size} tokens; nothing was trained".format(**result)
            ),
        )
        return
    with training_bar(f"adapting ({method})") as report:
        metrics = run(corpus_dir, encoder, out, settings=settings, old_corpus=old_corpus, report=report)

    def show(result: dict[str, Any]) -> None:
        typer.echo(f"{'step':>6} {'accuracy':>9} {'loss':>7} {'perplexity':>10}")
        for entry in result["history"]:
            typer.echo("{step:>6} {accuracy:>9.4f} {loss:>7.3f} {perplexity:>10.2f}".format(**entry))
        if result["stopped"] != "steps":
            typer.echo(f"stopped early, by {result['stopped']}")
        typer.echo(f"{result['tokens_per_s']:,.0f} tokens/s; written to {out}")

    if PartialState().is_main_process:
        emit(metrics, as_json, show)


@app.command(
    epilog=example(
        "trialtune mlm corpus/new --encoder base/",
        "trialtune mlm corpus/new --encoder base/ --adapter adapter/",
    )
)
def mlm(
    corpus_dir: Annotated[Path, typer.Argument(help="A folder made by `trialtune corpus build`.")],
    encoder: Encoder,
    adapter: Annotated[Path | None, typer.Option(help="A folder made by `trialtune adapt`.")] = None,
    evaluation_blocks: Annotated[int, typer.Option(min=1, help="Held-out blocks to score.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Score a masked language model on a corpus's held-out text, by section of the record."""
    from trialtune.stages.mlm import score_mlm

    scores = score_mlm(corpus_dir, encoder, adapter=adapter, evaluation_blocks=evaluation_blocks)

    def show(result: dict[str, Any]) -> None:
        typer.echo(f"{'':20} {'masked':>7} {'accuracy':>9} {'loss':>7} {'perplexity':>10}")
        for name, part in {"all": result, **result.get("sections", {})}.items():
            typer.echo(
                "{name:20} {masked:>7,} {accuracy:>9.4f} {loss:>7.3f} {perplexity:>10.2f}".format(
                    name=name, **part
                )
            )

    emit(scores.model_dump(mode="json"), as_json, show)
