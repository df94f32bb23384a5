"""`trialtune corpus build` and `trialtune adapt`: from a snapshot to an adapted encoder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from trialtune.cli.app import AsJson, Encoder, Out, app, emit, example
from trialtune.cli.options import settings_options
from trialtune.corpus.settings import CorpusSettings
from trialtune.stages.settings import AdaptSettings

corpus = typer.Typer(help="Build packed blocks of tokens from a snapshot.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")


@corpus.command(
    epilog=example("trialtune corpus build snapshot.parquet --encoder embedded:minilm-l6 --out corpus/")
)
@settings_options
def build(
    snapshot: Annotated[Path, typer.Argument(help="A snapshot, or the new.parquet of a diff.")],
    encoder: Encoder,
    out: Out,
    settings: CorpusSettings,
    exclude: Annotated[
        Path | None, typer.Option(help="A list of NCT ids to leave out: the test trials.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one per core.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compose, clean, tokenise and pack the free text of every trial."""
    from trialtune.console import bar
    from trialtune.corpus.build import build_corpus, count_rows
    from trialtune.models.encoders import Encoder
    from trialtune.registry.readers.id_list import read_ids
    from trialtune.workers import cores

    with bar("reading trials", count_rows(snapshot)) as progress:
        made = build_corpus(
            snapshot,
            Encoder.open(encoder).tokenizer,
            out,
            settings=settings,
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
        typer.echo(
            f"left out  {result['empty']:,} trials without text, {result['excluded']:,} excluded,"
            f" {result['withheld']:,} withheld by the registry"
        )

    emit(vars(made), as_json, show)


@app.command(
    epilog=example(
        "trialtune adapt corpus/new --encoder domenicrosati/ClinicalTrialBioBert --out adapter/",
        "trialtune adapt corpus/base --encoder embedded:minilm-l6 --method full --tokens 1e7 --out base/",
        "torchrun --nproc-per-node 2 -m trialtune adapt corpus/new --encoder base/ --out adapter/",
    )
)
@settings_options
def adapt(
    corpus_dir: Annotated[Path, typer.Argument(help="A folder made by `trialtune corpus build`.")],
    encoder: Encoder,
    out: Out,
    settings: AdaptSettings,
    old_corpus: Annotated[
        Path | None, typer.Option(help="A corpus to monitor forgetting.", rich_help_panel="Watching")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report the amount of training.")] = False,
    as_json: AsJson = False,
) -> None:
    """Continue masked-language-model training; a killed run resumes where it stopped."""
    from accelerate import PartialState

    from trialtune.models.encoders import Encoder
    from trialtune.stages.adapt import adapt as run
    from trialtune.stages.adapt import plan, read_texts
    from trialtune.training.progress import training_bar

    if dry_run:
        texts = read_texts(corpus_dir, Encoder.open(encoder), heldout_blocks=1, old_corpus=old_corpus)
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
    with training_bar(f"adapting ({settings.method})") as report:
        metrics = run(corpus_dir, encoder, out, settings=settings, old_corpus=old_corpus, report=report)

    def show(_: object) -> None:
        typer.echo(f"{'step':>6} {'accuracy':>9} {'loss':>7} {'perplexity':>10}")
        for entry in metrics.history:
            typer.echo(f"{entry.step:>6} {entry.accuracy:>9.4f} {entry.loss:>7.3f} {entry.perplexity:>10.2f}")
        if metrics.stopped != "steps":
            typer.echo(f"stopped early, by {metrics.stopped}")
        typer.echo(f"{metrics.tokens_per_s:,.0f} tokens/s; written to {out}")

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
    adapter: Annotated[str | None, typer.Option(help="An adapter folder or its Hub id.")] = None,
    eval_blocks: Annotated[int, typer.Option(min=1, help="Number of held-out blocks to score.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Score a masked language model on a corpus's held-out text, by section of the record."""
    from trialtune.stages.mlm import score_mlm

    scores = score_mlm(corpus_dir, encoder, adapter=adapter, eval_blocks=eval_blocks)

    def show(result: dict[str, Any]) -> None:
        typer.echo(f"{'':20} {'masked':>7} {'accuracy':>9} {'loss':>7} {'perplexity':>10}")
        for name, part in {"all": result, **result.get("sections", {})}.items():
            typer.echo(
                "{name:20} {masked:>7,} {accuracy:>9.4f} {loss:>7.3f} {perplexity:>10.2f}".format(
                    name=name, **part
                )
            )

    emit(scores.model_dump(mode="json"), as_json, show)
