"""Pictures of the page of `trialtune annotate`, light and dark: docs/images/annotate.png and -dark.png.

    python tools/annotate_pictures.py

240 texts of a synthetic registry are labelled with their known labels; then the page is opened in a browser.
"""

import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from trialtune import import_trials, load_task
from trialtune.annotation.candidates import Candidates
from trialtune.annotation.labels_file import LabelsFile
from trialtune.annotation.pool import read_pool
from trialtune.annotation.session import Said, Session
from trialtune.annotation.settings import DrawSettings
from trialtune.annotation.tf_idf_learner import TfIdfLearner
from trialtune.annotation.trainer import Trainer
from trialtune.registry.sample import SampleSettings, generate_studies, write_sample
from trialtune.server.annotate import KEYS, TIMEOUT, build_annotate_app
from trialtune.server.run import bind, make_server

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
SAMPLE = SampleSettings()
ANSWERS = 240


def main() -> None:
    task, work = load_task("stop-reasons"), Path(tempfile.mkdtemp())
    write_sample(work / "sample", SAMPLE)
    import_trials(work / "sample" / "studies.jsonl.gz", work / "snapshot.parquet")
    truth = {
        one.study["protocolSection"]["identificationModule"]["nctId"]: one.labels
        for one in generate_studies(SAMPLE)
    }
    pool, settings = read_pool(task, work / "snapshot.parquet"), DrawSettings()
    candidates = Candidates(pool, most=settings.candidates, seed=settings.seed)
    trainer = Trainer(task, TfIdfLearner(task, candidates.texts), candidates, settings)
    file = LabelsFile(work / "labels.csv", task)
    session = Session(task, pool, file, annotator="Ada", settings=settings, trainer=trainer)
    for _ in range(ANSWERS):
        item = session.next().item
        assert item is not None
        session.answer(item.place, item.key[1], Said(truth[item.nct_id]))
        trainer.wait()
    session.file.path = Path("labels.csv")  # as it is shown
    waiting = session.next().item
    assert waiting is not None
    take_pictures(session, [KEYS[[*task.labels].index(label)] for label in truth[waiting.nct_id]])
    file.close()


def take_pictures(session: Session, keys: list[str]) -> None:
    """The page with labels chosen by their keys, in both colour schemes."""
    server = make_server(build_annotate_app(session, suggest=True), timeout=TIMEOUT)
    with bind("127.0.0.1", 0) as listening, sync_playwright() as playwright:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for scheme, name in (("light", "annotate.png"), ("dark", "annotate-dark.png")):
            page = browser.new_context(
                color_scheme=scheme, viewport={"width": 900, "height": 1250}
            ).new_page()
            page.goto(f"http://127.0.0.1:{listening.getsockname()[1]}/")
            page.locator("#work:not([hidden])").wait_for()
            page.locator("#curve svg").wait_for()
            for key in keys:
                page.keyboard.press(key)
            page.screenshot(path=IMAGES / name, full_page=True)
        browser.close()
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
