"""`trialtune registry sync` as a user meets it."""

import json

import pytest
from typer.testing import CliRunner

from trialtune.cli import app
from trialtune.errors import DataError, UsageError


@pytest.fixture(scope="module")
def url(registry_server):
    with registry_server.serving(registry_server.made_up_studies(60)) as (url, _):
        yield url


def sync(*arguments: object):
    done = CliRunner().invoke(app, ["registry", "sync", *map(str, arguments), "--rate", "0"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_a_sync_prints_its_counts_and_where_it_lies(url, tmp_path):
    out = tmp_path / "registry"
    plan = json.loads(sync("--out", out, "--base-url", url, "--dry-run", "--json").stdout)
    assert (plan["total"], plan["to_fetch"]) == (60, 60)
    assert not out.exists()
    lines = sync("--out", out, "--base-url", url).stdout.split()
    assert lines[-1] == str(out / "snapshot.parquet")
    assert lines[lines.index("new") + 1] == "60"
    again = json.loads(sync("--out", out, "--base-url", url, "--json").stdout)
    assert (again["total"], again["new"], again["changed"], again["removed"]) == (60, 0, 0, 0)


def test_a_list_with_a_malformed_id_loses_no_other(url, tmp_path, registry_server):
    ids = [registry_server.nct_id(study) for study in registry_server.made_up_studies(60)[:9]]
    (tmp_path / "ids.txt").write_text("\n".join([*ids, "NCT123", "nonsense"]))
    done = json.loads(
        sync("--out", tmp_path / "o", "--base-url", url, "--ids", tmp_path / "ids.txt", "--json").stdout
    )
    assert (done["total"], done["bad_ids"], done["removed"]) == (9, 2, 0)
    refused = (tmp_path / "o" / "ids.quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["raw"]["nct_id"] for line in refused] == ["NCT123", "nonsense"]


def test_ids_that_never_existed_are_named(url, tmp_path, registry_server):
    ids = [registry_server.nct_id(study) for study in registry_server.made_up_studies(60)[:3]]
    (tmp_path / "ids.txt").write_text("\n".join([*ids, "NCT00000001", "NCT00000002"]))
    arguments = ("--out", tmp_path / "o", "--base-url", url, "--ids", tmp_path / "ids.txt")
    first = sync(*arguments)
    assert "2 ids unknown to the registry: NCT00000001, NCT00000002" in first.stderr
    counts = first.stdout.split()
    assert [counts[counts.index(name) + 1] for name in ("total", "removed", "unknown")] == ["3", "0", "2"]
    again = json.loads(sync(*arguments, "--json").stdout)
    assert (again["unknown"], again["unknown_ids"]) == (2, ["NCT00000001", "NCT00000002"])


def test_fields_are_named_by_commas(url, tmp_path):
    done = sync("--out", tmp_path / "o", "--base-url", url, "--fields", "BriefTitle, Sex", "--json")
    assert json.loads(done.stdout)["total"] == 60


def test_a_folder_that_holds_nothing_yet_takes_the_mended_request(url, tmp_path):
    with pytest.raises(DataError, match="unknown field Sexx; check"):
        sync("--out", tmp_path / "o", "--base-url", url, "--fields", "Sexx")
    done = sync("--out", tmp_path / "o", "--base-url", url, "--fields", "Sex", "--json")
    assert json.loads(done.stdout)["total"] == 60


def test_a_day_that_is_none(url, tmp_path):
    with pytest.raises(UsageError, match="--since '2026-13-01': not a date"):
        sync("--out", tmp_path / "o", "--base-url", url, "--since", "2026-13-01")
