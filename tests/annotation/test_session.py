"""A session: repeated words, corrections, the model in the background, the forecast."""

import numpy as np
import pytest

from trialtune.annotation.candidates import Candidates
from trialtune.annotation.curve import forecast
from trialtune.annotation.labels_file import LabelsFile, read_labels_file
from trialtune.annotation.pool import Pool, read_pool
from trialtune.annotation.power_law import fit_power_laws
from trialtune.annotation.session import GoneError, Said, Session
from trialtune.annotation.settings import DrawSettings
from trialtune.annotation.tf_idf_learner import TfIdfLearner
from trialtune.annotation.trainer import Trainer
from trialtune.errors import UsageError

RANDOM = DrawSettings(mix={"random": 1.0})


@pytest.fixture
def opened(tmp_path, task):
    """`opened(pool, settings, trainer)`: a session of Ada's; its file is closed at the end."""
    files = []

    def start(pool: Pool, settings: DrawSettings = RANDOM, trainer: Trainer | None = None, **more) -> Session:
        if files:
            files.pop().close()
        files.append(LabelsFile(tmp_path / "labels.csv", task))
        return Session(task, pool, files[-1], annotator="Ada", settings=settings, trainer=trainer, **more)

    yield start
    files.pop().close()


def say(session: Session, *labels: str, **more) -> str:
    """Answer the text that is shown; the text."""
    item = session.next().item
    assert item is not None
    session.answer(item.place, item.key[1], Said(labels, **more))
    return item.text


def test_trials_with_the_same_words_get_the_same_answer(opened, task, pool_file, tmp_path) -> None:
    pool = read_pool(
        task, pool_file(40, text=["Slow accrual." if n % 2 else f"reason {n}" for n in range(40)])
    )
    session, shown = opened(pool), []
    while session.next().item:
        shown.append(say(session, "people" if "accrual" in session.next().item.text else "money"))
    assert len(shown) == len(set(shown)) == 21
    answers = read_labels_file(task, tmp_path / "labels.csv")
    assert len({answer.nct_id for answer in answers}) == len(answers) == 40
    assert {answer.drawn for answer in answers} == {"random"}
    # Another answer to these words counts for all who have them.
    back = next(n for n in range(1, 30) if session.answered(n)[0].text == "Slow accrual.")
    item, before = session.answered(back)
    assert before.labels == ("people",)
    saved = session.answer(item.place, item.key[1], Said(("safety",)))
    assert saved.rows == 20 and saved.before
    assert session.label_counts() == {"money": 20, "people": 0, "safety": 20}
    assert session.counts() == {"labelled": 40, "unsure": 0, "skipped": 0, "adjudicated": 0, "left": 0}


def test_a_new_session_goes_on_where_the_last_one_ended(opened, task, pool_file) -> None:
    pool = read_pool(task, pool_file(30))
    session = opened(pool)
    first = [say(session, "money") for _ in range(10)]
    waiting = session.next().item
    again = opened(pool)
    assert again.next().item == waiting
    assert not set(first) & {say(again, "money") for _ in range(20)}
    assert again.next().item is None and again.answered(30)[0].text == first[0] and again.answered(31) is None


def test_going_back_over_answers_that_the_pool_lacks(opened, task, pool_file) -> None:
    session = opened(read_pool(task, pool_file(30)))
    shown = [say(session, "money") for _ in range(12)]
    session = opened(read_pool(task, pool_file(15)))  # half of the data
    left = [text for text in shown if int(text.split()[-1]) < 15]
    assert 0 < len(left) < 12
    found = [session.answered(back) for back in range(1, len(left) + 2)]
    assert [one and one[0].text for one in found] == [*left[::-1], None]


def test_what_is_refused(opened, task, one_of_many, pool_file) -> None:
    session = opened(read_pool(task, pool_file(5)))
    item = session.next().item
    with pytest.raises(UsageError, match="'monye' is not a label of own; did you mean 'money'"):
        session.answer(item.place, item.key[1], Said(("monye",)))
    with pytest.raises(UsageError, match="status 'adjudicated'"):
        session.answer(item.place, item.key[1], Said(("money",), status="adjudicated"))
    for place, key in ((item.place, "0"), (99, item.key[1]), (-1, item.key[1])):
        with pytest.raises(GoneError):
            session.answer(place, key, Said(("money",)))
    session.task = one_of_many
    with pytest.raises(UsageError, match="takes one label, not 2"):
        session.answer(item.place, item.key[1], Said(("money", "people")))
    assert session.counts()["labelled"] == 0


def trainer_of(task, pool: Pool, settings: DrawSettings) -> Trainer:
    candidates = Candidates(pool, most=settings.candidates, seed=1)
    return Trainer(task, TfIdfLearner(task, candidates.texts), candidates, settings)


def test_the_model_learns_while_labels_are_given(opened, task, pool_file, label_of) -> None:
    pool, settings = read_pool(task, pool_file(300)), DrawSettings()
    trainer = trainer_of(task, pool, settings)
    session = opened(pool, settings, trainer)
    assert session.suggestion(pool[0]) is None
    for _ in range(60):
        say(session, label_of(session.next().item.text))
        trainer.wait()
    assert trainer.latest.answers == 60 and trainer.problem == ""
    assert {answer.drawn for answer in session.file.answers} == {"random", "uncertain", "rare"}
    for place in range(60):
        assert session.suggestion(pool[place]).labels == (label_of(pool[place].text),)
    assert trainer.forecast.macro.later[0].f1 > 0.9
    sheet = Pool(pool.ids, pool.texts, pool.titles, {}, listed=True)
    assert opened(sheet, settings, trainer).suggestion(sheet[0]) is None


def test_a_training_that_fails_is_told(opened, task, pool_file) -> None:
    pool, settings = read_pool(task, pool_file(30)), DrawSettings()
    trainer = trainer_of(task, pool, settings)
    trainer._learner.fit = lambda *_: (_ for _ in ()).throw(MemoryError("no room"))  # as a full machine does
    session = opened(pool, settings, trainer)
    for _ in range(12):
        say(session, "money")
    trainer.wait()
    assert "MemoryError: no room" in trainer.problem and session.next().item is not None


def test_power_laws_are_found_again() -> None:
    rows = np.array([50.0, 100, 200, 400])
    laws = fit_power_laws(rows, np.array([2 * rows**-0.5, 1.5 * rows**-0.3, np.full(4, 0.2), rows / 1000]))
    assert laws(800) == pytest.approx([2 * 800**-0.5, 1.5 * 800**-0.3, 0.2, laws(400)[3]])


def test_the_forecast_of_what_can_and_what_cannot_be_learnt(task) -> None:
    chance = np.random.default_rng(0)
    gold = np.eye(3, dtype=bool)[chance.integers(3, size=240)]
    texts = [f"word{row.argmax()} {chance.integers(99)}" for row in gold]
    learner, ways = TfIdfLearner(task, texts), ["random"] * 240
    easy = forecast(learner, learner.features(texts), gold, ways, labels=["a", "b", "c"], kind="multi_label")
    assert easy.micro.later[-1].f1 > 0.95 and easy.advice.startswith("You can stop") and easy.at_random
    assert [point.labels for point in easy.macro.later] == [240, 290, 360, 480]
    shuffled = gold[chance.permutation(240)]
    noise = forecast(
        learner, learner.features(texts), shuffled, ways, labels=["a", "b", "c"], kind="multi_class"
    )
    assert 0.2 < noise.micro.later[0].f1 < 0.5
    assert noise.micro.later[0].low < noise.micro.later[0].f1 < noise.micro.later[0].high
    few = forecast(
        learner, learner.features(texts[:10]), gold[:10], ways[:10], labels=["a"], kind="multi_label"
    )
    assert few is None
    listed = forecast(
        learner, learner.features(texts), gold, ["listed"] * 240, labels=["a", "b", "c"], kind="multi_label"
    )
    assert listed.scored == 240 and not listed.at_random
