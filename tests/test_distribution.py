"""What is published: built as for PyPI, installed beside nothing of the checkout, and used."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import trialtune_models
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import trialtune

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "packages" / "trialtune-models"


def test_the_version_is_the_same_everywhere() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d.*)\] - (.*)$", changes, flags=re.MULTILINE)
    assert newest is not None
    assert newest.groups() == (cited["version"], cited["date-released"])
    assert trialtune.__version__ == cited["version"]


def test_one_address() -> None:
    """Every other address of the project begins with that of its source."""
    for file in (ROOT, MODELS):
        urls = tomllib.loads((file / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
        assert all(url.startswith(urls["Source"]) for url in urls.values())
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["repository-code"] == urls["Source"]


def test_the_lowest_versions_are_those_that_are_tested() -> None:
    """Every lower bound stands in constraints-lowest.txt, which `make test-lowest` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    tested = {canonicalize_name(pin.name): pin.specifier for pin in pins}
    extras = project["optional-dependencies"]
    given = [
        *project["dependencies"],
        *(one for name in ("train", "report", "serve", "ray") for one in extras[name]),
    ]
    for wanted in map(Requirement, given):
        [bound] = wanted.specifier
        assert Version(bound.version) in tested[canonicalize_name(wanted.name)], wanted


def build(project: Path, out: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel that is built from it."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [source], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    return source, wheel


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def built_models(tmp_path_factory) -> tuple[Path, Path]:
    return build(MODELS, tmp_path_factory.mktemp("dist-models"))


class Installed:
    """A fresh environment that holds one wheel, and finds the libraries of the one that tests run in."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        venv.create(folder, with_pip=False)
        self.folder = folder
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.python = str(self.bin / "python")
        install = ("install", "--quiet", "--no-deps", "--no-index", str(wheel))
        subprocess.run([sys.executable, "-m", "pip", "--python", self.python, *install], check=True)
        # In a folder that a .pth names no other .pth counts: the checkout, installed as editable, is unseen.
        [packages] = folder.rglob("site-packages")
        libraries = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "libraries.pth").write_text("\n".join(libraries), encoding="utf-8")

    def run(self, *command: str) -> str:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            env=plain,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed") / "venv", built[1])


def test_the_wheel_is_what_runs(installed) -> None:
    places = "import trialtune, trialtune_models as m; print(trialtune.__file__); print(m.__file__)"
    for place in installed.run("python", "-c", places).split():
        assert Path(place).is_relative_to(installed.folder)
    assert installed.run("trialtune", "--version").strip() == trialtune.__version__


def test_the_shipped_classifiers_answer(installed) -> None:
    assert {"stop-reasons", "sex"} <= set(installed.run("trialtune", "classifiers").split())
    said = installed.run("trialtune", "predict", "stop-reasons", "Slow accrual, funding ended")
    assert "Insufficient_Enrollment" in said and "Business_Administrative" in said
    assert '"MALE"' in installed.run("trialtune", "predict", "sex", "Healthy male volunteers", "--json")


def test_recipes_and_samples_come_along(installed) -> None:
    assert "quick" in installed.run("trialtune", "run", "quick", "--out", "quick", "--dry-run")
    installed.run("trialtune", "registry", "sample", "--studies", "100", "--out", "sample")
    assert (installed.folder / "sample" / "studies.jsonl.gz").is_file()


def files_of(folder: Path, under: Path) -> set[str]:
    return {
        file.relative_to(under).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".egg-info"
    }


def test_the_wheel_holds_the_packages_and_nothing_else(built) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    models = MODELS / "src" / "trialtune_models"
    assert held == files_of(ROOT / "src" / "trialtune", ROOT / "src") | files_of(models, models.parent)


def test_the_source_distribution_holds_its_tests(built, tmp_path) -> None:
    with tarfile.open(built[0]) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    for wanted in (
        "pyproject.toml",
        "Makefile",
        "constraints.txt",
        "CHANGELOG.md",
        "CITATION.cff",
        "LICENSE",
    ):
        assert wanted in held
    assert files_of(ROOT / "tests", ROOT) <= held and files_of(MODELS, ROOT) <= held
    assert not any(name.startswith(("runs/", "dist/", ".venv")) for name in held)


def test_the_models_are_a_package_of_their_own(built_models, tmp_path) -> None:
    alone = Installed(tmp_path / "venv", built_models[1])
    said = alone.run("python", "-c", "import trialtune_models as m; print(m.__file__, m.__version__)")
    place, version = said.split()
    assert Path(place).is_relative_to(alone.folder) and version == trialtune_models.__version__
    installed_files = files_of(Path(place).parent, Path(place).parents[1])
    models = MODELS / "src" / "trialtune_models"
    assert installed_files == files_of(models, models.parent)
    [license_file] = alone.folder.rglob("trialtune_models-*.dist-info/licenses/LICENSE")
    assert license_file.read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
