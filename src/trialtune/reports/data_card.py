"""The data card of a labelled registry: its README.md, as the Hugging Face Hub shows it."""

from pathlib import Path

from trialtune.files import atomic_file
from trialtune.labelling.description import REGISTRY, TERMS, Description
from trialtune.labelling.publication import Publication
from trialtune.reports.pages import MARKDOWN

DATA_CARD = "README.md"
_SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}


def write_data_card(described: Description, folder: Path) -> None:
    """Write `folder/README.md`, whose header names the parts, so that nobody takes other files for data."""
    from huggingface_hub import DatasetCard, DatasetCardData  # noqa: PLC0415 - slow to import

    given = described.publication
    data = DatasetCardData(
        language="en",
        license=_license(given),
        annotations_creators=["machine-generated"],
        task_categories=["text-classification"],
        pretty_name=described.name,
        size_categories=[_size(described.summary.trials)],
        tags=["clinical-trials", "trialtune"],
        configs=[{"config_name": "default", "data_files": "labels/*.parquet"}],
    )
    if data["license"] == "other":
        data["license_name"] = "terms-of-clinicaltrials-gov" if given.license is None else "as-linked"
        data["license_link"] = given.license or TERMS
    text = MARKDOWN.get_template("data_card.md").render(described=described, registry=REGISTRY, terms=TERMS)
    with atomic_file(folder / DATA_CARD) as path:
        DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}").save(path)


def _license(given: Publication) -> str:
    """As the Hub has it: SPDX's identifiers in lower case, and `other` for the rest."""
    stated = given.license
    return stated.lower() if stated and stated != given.license_url else "other"


def _size(trials: int) -> str:
    return next((named for limit, named in _SIZES.items() if trials < limit), "1M<n<10M")
