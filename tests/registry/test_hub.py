"""Addresses of Hub files; what cannot be fetched is explained."""

from pathlib import Path

import pytest

from trialtune.errors import DataError, UsageError
from trialtune.registry.hub import fetch, is_hub_file
from trialtune.stages.examples import read_table

ADDRESS = "hf://datasets/opentargets/clinical_trial_reason_to_stop/data.json"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_only_the_hub_s_addresses_are_of_the_hub() -> None:
    assert is_hub_file(ADDRESS) and is_hub_file(Path(ADDRESS))
    assert not is_hub_file("data.json") and not is_hub_file(Path("/hf/data.json"))


@pytest.mark.parametrize("address", [ADDRESS, Path(ADDRESS)])
def test_a_hub_out_of_reach_is_explained(address) -> None:
    with pytest.raises(DataError, match=f"{ADDRESS}: not in the cache, and the Hugging Face Hub"):
        read_table(address)


@pytest.mark.parametrize("address", ["hf://spaces/a/b/c.csv", "hf://datasets/owner/file.csv"])
def test_a_malformed_address_is_explained(address) -> None:
    with pytest.raises(UsageError, match="hf://datasets/OWNER/NAME/FILE"):
        fetch(address)
