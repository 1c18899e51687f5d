import re
from dataclasses import replace

import polars as pl
import pytest

from flows.compare import main
from recsys_core.columns import ITEM, METHOD_PER_USER, TITLE, USER, check
from recsys_core.errors import ConfigError, DataError
from recsys_core.report.comparison_page import render
from recsys_core.report.html import render as page_of
from recsys_core.report.run_comparison import RunFiles, as_text, compare_runs, read_run
from tests.recsys_core.report.conftest import EVIL, recommendations, summary

USERS = [str(number) for number in range(40)]


def per_user(better: float = 0.0) -> pl.DataFrame:
    rows = [
        {"method": method, USER: user, "protocol": "full", "k": 10, "metric": metric,
         "value": 0.3 + 0.01 * (int(user) % 10) + (better if method == "served" else 0.0)}
        for method in ("popularity", "served")
        for metric in ("ndcg", "precision", "recall", "map", "mrr", "hit_rate")
        for user in USERS
    ]  # fmt: skip
    table = pl.DataFrame(rows, schema={**METHOD_PER_USER, USER: pl.String})
    return check(table, METHOD_PER_USER, table="per user")


def files(name: str, *, better: float = 0.0, lists: pl.DataFrame | None = None, **config):
    told = summary().model_copy(update={"run_name": name})
    told = told.model_copy(update={"config": {**told.config, **config}})
    lists = recommendations(USERS) if lists is None else lists
    return RunFiles(summary=told, per_user=per_user(better), recommendations=lists)


def told(run: RunFiles, **update) -> RunFiles:
    return replace(run, summary=run.summary.model_copy(update=update))


def test_the_difference_is_tested_user_by_user_the_served_lists_first() -> None:
    found = compare_runs(files("a"), files("b", better=0.05, seed=4))
    first = found.tests[0]
    assert (first["method"], first["metric"], first["users"]) == ("served", "ndcg", len(USERS))
    assert first["difference"] == pytest.approx(0.05)
    assert first["p_adjusted"] < 0.01
    other = next(row for row in found.tests if row["method"] == "popularity")
    assert (other["difference"], other["p_adjusted"]) == (0.0, 1.0)
    assert found.config == {"seed": ("0", "4")}


def test_lists_that_changed_most_come_first() -> None:
    moved = (pl.col(USER) == "7") | ((pl.col(USER) == "3") & (pl.col(ITEM) == 7))
    changed = recommendations(USERS).with_columns(
        pl.when(moved).then(pl.col(ITEM) + 100).otherwise(pl.col(ITEM)).alias(ITEM)
    )
    found = compare_runs(files("a"), files("b", lists=changed))
    assert [(one.user, one.shared) for one in found.changed] == [("7", 0), ("3", 50)]
    assert found.overlap == pytest.approx((38 + 0 + 0.5) / 40)
    assert found.changed[0].before[0] == ("Contact", "Contact")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"split": {"kind": "auto", "fold": 2}}, r"split\.fold is 1 and 2"),
        ({"evaluation": {"cutoffs": [5], "cold_below": 10}}, r"evaluation\.cutoffs is"),
    ],
)
def test_runs_on_another_split_or_measure_are_refused(config, said) -> None:
    with pytest.raises(ConfigError, match=said):
        compare_runs(files("a"), files("b", **config))


def test_runs_on_other_data_or_other_random_folds_are_refused() -> None:
    one = files("a")
    other = one.summary.data.model_copy(update={"fingerprint": "other"})
    with pytest.raises(ConfigError, match="the data differ"):
        compare_runs(one, told(one, data=other))
    drawn = told(one, facts={"split": {"kind": "random"}})
    with pytest.raises(ConfigError, match="seed is 0 and 4"):
        compare_runs(drawn, files("b", seed=4))


def test_the_page_escapes_and_the_text_has_every_part() -> None:
    evil = recommendations(USERS).with_columns(pl.lit(EVIL).alias(TITLE), pl.col(ITEM) + 100)
    found = compare_runs(files("a"), files(EVIL, lists=evil))
    page, text = render(found), as_text(found)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"<td(?! data-label)", page)
    for part in ("Configuration that differs", "Paired tests", "Cost and time", "0 % in common"):
        assert part in page
        assert part in text


def test_the_report_has_a_section_that_compares_or_says_why_not(run) -> None:
    found = compare_runs(files("a"), files("b", better=0.05))
    html = page_of(replace(run, comparison=found))
    assert "Compared with <bdi>a</bdi>" in html
    assert html.count('id="compare-tests"') == 1
    assert len(re.findall(r' id="([^"]+)"', html)) == len(set(re.findall(r' id="([^"]+)"', html)))
    assert "the data differ" in page_of(replace(run, not_compared="the data differ"))
    assert "Compared with" not in page_of(run)


def test_the_command_reads_folders_and_writes_the_page(tmp_path, capsys) -> None:
    for name in ("one", "two"):
        run, folder = files(name, better=0.05 * (name == "two")), tmp_path / name
        folder.mkdir()
        (folder / "summary.json").write_text(run.summary.model_dump_json())
        run.per_user.write_parquet(folder / "per_user.parquet")
        run.recommendations.write_parquet(folder / "recommendations.parquet")
    assert main(["one", str(tmp_path / "two"), "--runs-root", str(tmp_path)]) == 0
    assert "# two against one" in capsys.readouterr().out
    assert (tmp_path / "two" / "compare-one.html").is_file()
    assert main(["one", "three", "--runs-root", str(tmp_path)]) == 2
    assert "one of the runs in" in capsys.readouterr().err
    (tmp_path / "one" / "per_user.parquet").unlink()
    with pytest.raises(DataError, match=r"per_user\.parquet is not there"):
        read_run(tmp_path / "one")
