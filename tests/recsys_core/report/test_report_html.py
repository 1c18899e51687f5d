"""The page: complete, escaped, self-contained, and the same for the same data."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import polars as pl
import pytest

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    METHOD,
    METRIC,
    METRICS,
    P_ADJUSTED,
    PROBE,
    PROTOCOL,
    STRATEGY_COSTS,
    VALID_NDCG,
    VALUE,
)
from recsys_core.errors import DataError
from recsys_core.report.data import ReportData
from recsys_core.report.figures import figures
from recsys_core.report.html import environment, render
from recsys_core.report.sections.explanation_tables import MEANINGS
from recsys_core.report.sections.verdict import verdict
from recsys_core.report.summary import headline
from tests.recsys_core.report.conftest import EVIL

LOADING = {"src", "href", "xlink:href", "action", "data", "poster", "srcset", "background"}


class Page(HTMLParser):
    """Tags with their attributes, and the text outside the style sheet."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] and self.tags[-1][0] not in {"style", "script"}:
            self.text += data

    def values(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def redrawn(run: ReportData, **tables: pl.DataFrame) -> ReportData:
    """The same run with other tables, and the plots of those."""
    other = replace(run, **tables)
    return replace(other, figures=figures(other.metrics, other.curves, other.ours))


def test_it_says_what_happened(run: ReportData) -> None:
    text = Page(render(run)).text
    for expected in (
        "20260102T030405-ml-100k", "ml-100k: 943 users, 1,682 items, 100,000 ratings",
        "served", "0.4370", "0.4850",
        "2 min 28 s", "User 405", "The Shawshank Redemption", "Nothing: this user is new.",
        "moral dilemma", "written by rules", "No language model was called", "full/cold<10",
        "condensed", "items_without_overview", "learning_rate", "11316",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_best_of_each_column_is_marked_once(run: ReportData) -> None:
    html = render(run)
    table = html[html.index('<table class="metrics">') : html.index("</table>")]
    marked = re.findall(r'<td [^>]*class="best"><span>([\d.]+)', table)
    top = run.metrics.filter((pl.col(PROTOCOL) == "full") & (pl.col("k") == 10))
    best = dict(top.group_by(METRIC).agg(pl.col(VALUE).max()).iter_rows())
    assert marked == [
        f"{best[name]:.4f}" for name in ("ndcg", "precision", "recall", "map", "mrr", "hit_rate")
    ]


def test_methods_are_ordered_by_ndcg(run: ReportData) -> None:
    html = render(run)
    table = html[html.index('<table class="metrics">') : html.index("</table>")]
    names = re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', table)
    assert names[0] == "ease"
    assert names[-1] == "popularity"
    assert table.count('class="ours"') == 3


def test_the_calls_are_summed_by_purpose(with_calls: ReportData) -> None:
    text = Page(render(with_calls)).text
    assert "12 calls, 9,744 tokens in, 2,880 out, $0.0084" in text
    assert "user_profile" in text
    assert re.search(r"relevancy\s*openai/gpt-4.1-mini\s*6", text)
    assert "repaired" in text


def test_missing_parts_are_said_to_be_missing(bare: ReportData) -> None:
    page = Page(render(bare))
    for expected in ("nothing to measure", "No user has", "No training curve", "No step was"):
        assert expected in page.text
    assert "svg" not in {tag for tag, _ in page.tags}


def test_a_run_without_intervals_cold_users_or_k_10(run: ReportData) -> None:
    part = run.metrics.filter((pl.col(PROTOCOL) == "full") & (pl.col("k") == 5))
    part = part.with_columns(pl.lit(None, pl.Float64).alias(CI_LOW), pl.lit(None).alias(CI_HIGH))
    part = part.cast({CI_HIGH: pl.Float64})
    page = Page(render(redrawn(run, metrics=part)))
    assert "@5" in page.text
    assert "Other protocols" not in page.text
    assert "By cut-off" not in page.text


def test_curves_that_hold_no_number(run: ReportData) -> None:
    curves = run.curves.with_columns(
        pl.lit(float("nan")).alias("loss"), pl.lit(None, pl.Float64).alias(VALID_NDCG)
    )
    assert "Training loss" in render(redrawn(run, curves=curves))


def test_everything_from_outside_is_escaped(hostile: ReportData) -> None:
    html = render(hostile)
    page = Page(html)
    assert not {"img", "iframe", "object", "embed", "link"} & {t for t, _ in page.tags}
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 2, "lists, and the search"
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "alert(1)" in page.text, "it is shown as text"
    assert "{{ 7*7 }}" in page.text, "and not evaluated"


@pytest.mark.parametrize("name", ["run", "with_calls", "bare", "hostile"])
def test_nothing_is_loaded_from_anywhere(name: str, request: pytest.FixtureRequest) -> None:
    html = render(request.getfixturevalue(name))
    page = Page(html)
    targets = [value for name in LOADING for value in page.values(name)]
    assert targets, "the links inside the page"
    assert all(value and value.startswith("#") for value in targets)
    assert not re.search(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_the_policy_allows_the_one_script_by_its_hash(run: ReportData) -> None:
    html = render(run)
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = b64encode(sha256(scripts[0].encode()).digest()).decode()
    assert len(scripts) == 1
    assert f"script-src 'sha256-{digest}' 'strict-dynamic'" in html


def test_the_verdict_says_what_is_served_and_how_it_compares(run: ReportData) -> None:
    text = Page(render(run)).text
    assert (
        "Served lists: the graph model's, reordered, which changes NDCG@10 by +1.4%; reranking"
        " everybody's by rules would cost 18% of NDCG@10; worse than ease, the best baseline, by"
        " 9.9% (p < 0.001)." in text
    )
    close = run.comparisons.with_columns(pl.lit(0.4).alias(P_ADJUSTED))
    assert (
        "no clear difference to ease, the best baseline (-9.9%, p = 0.400)"
        in Page(render(replace(run, comparisons=close))).text
    )


def test_the_verdict_of_runs_that_serve_or_measure_otherwise(run: ReportData) -> None:
    nothing, k = run.comparisons.clear(), 10
    own = {"gat": {"ndcg": 0.4}, "ease": {"ndcg": 0.5}}
    assert verdict(own, nothing, "rules", k) == "Served lists: the graph model's own."
    same = {**own, "served": {"ndcg": 0.4}, "gat+pairwise": {"ndcg": 0.44}}
    assert verdict(same, nothing, "m", k) == (
        "Served lists: the graph model's, reordered without a change of NDCG@10; reranking"
        " everybody's by m would add 10% of NDCG@10."
    )
    assert verdict({"gat": {"ndcg": None}}, nothing, "rules", k).startswith("Nothing was held out")


def test_names_are_explained_and_the_checksum_is_in_the_notes(run: ReportData) -> None:
    page = Page(render(run))
    for words in ("linear item-to-item model", "the lists of this run", "before reranking"):
        assert words in page.text
    assert page.text.index("sha256 0f3a") > page.text.index("Notes of the steps")


def test_metrics_beyond_accuracy_mark_the_lowest_gini(run: ReportData) -> None:
    html = render(run)
    part = html[html.index('<section id="beyond">') :]
    part = part[: part.index("</section>")]
    top = run.metrics.filter((pl.col(PROTOCOL) == "full") & (pl.col("k") == 10))
    values = {name: top.filter(pl.col(METRIC) == name)[VALUE] for name in ("coverage", "gini")}
    marked = re.findall(r'class="best"><span>([\d.]+)', part)
    wanted = {f"{values['coverage'].max():.4f}", f"{values['gini'].min():.4f}"}
    assert set(marked) == wanted


def test_long_keys_break_at_dots_and_underscores_only(run: ReportData) -> None:
    assert "items_<wbr>without_<wbr>overview" in render(run)


def test_ids_are_unique_and_links_lead_somewhere(run: ReportData) -> None:
    page = Page(render(run))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {value[1:] for name in ("href", "xlink:href") for value in page.values(name) if value}
    assert targets <= set(ids)


def test_pictures_have_a_text_alternative_and_the_page_colours(run: ReportData) -> None:
    html = render(run)
    page = Page(html)
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) == 6
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in pictures)
    drawn = html[html.index("<svg") : html.rindex("</svg>")]
    assert not re.search(r"#f0f0|#0[12]0[12]0[12]", drawn), "a placeholder colour was left"
    assert "var(--s0)" in drawn


def test_the_same_data_give_the_same_page(run: ReportData) -> None:
    assert render(run) == render(run)


def test_many_methods_show_the_best_and_count_the_rest(run: ReportData) -> None:
    more = [
        run.metrics.filter(pl.col(METHOD) == "bpr").with_columns(pl.lit(f"m{n}").alias(METHOD))
        for n in range(5)
    ]
    text = Page(render(redrawn(run, metrics=pl.concat([run.metrics, *more])))).text
    assert "The 10 best methods; 4 more are in the table." in text


def test_a_table_that_breaks_its_schema_is_refused(run: ReportData) -> None:
    with pytest.raises(DataError, match="metrics: column 'value' is missing"):
        render(replace(run, metrics=run.metrics.drop(VALUE)))


def test_the_reasons_have_a_table_with_a_sentence_per_measure(run: ReportData) -> None:
    text = Page(render(replace(run, reasons=reasons("rules", "openai/x")))).text
    assert "How good the reasons are" in text
    assert "Written by openai/x, the first 20 of each list" in text
    for name, meaning in MEANINGS.items():
        assert f"{name.replace('_', ' ').capitalize()}0.9000.880 to 0.920943{meaning}" in text
    assert "How good the reasons are" not in Page(render(run)).text


def test_rows_about_reasons_change_nothing_else(run: ReportData) -> None:
    """Headline, tables and plots look at the protocols of accuracy alone."""
    more = pl.concat([run.metrics, reasons("rules")])
    assert headline(more) == headline(run.metrics)
    assert figures(more, run.curves, run.ours).equals(run.figures)
    assert render(redrawn(run, metrics=more)) == render(run)


def test_a_measure_that_applies_to_nobody(run: ReportData) -> None:
    none = reasons("rules").with_columns(pl.lit(None, pl.Float64).alias(VALUE))
    assert "Grounded\u2013" in Page(render(replace(run, reasons=none))).text


def test_the_probe_is_told_in_a_sentence_and_stage_by_stage(run: ReportData) -> None:
    row = {"group": "everybody", "stage": 0, "users": 50, "weight": 0.2, "scale": "rank",
           "value": 0.3, "difference": -0.018, "ci_low": -0.03, "ci_high": -0.009,
           "decision": "futile"}  # fmt: skip
    told = pl.DataFrame([row], schema=dict(PROBE))
    summary = run.summary.model_copy(update={"reranking": ["After 50 users: <b>it costs 6 %</b>."]})
    text = Page(render(replace(run, probe=told, summary=summary))).text
    assert "After 50 users: <b>it costs 6 %</b>." in text
    assert "everybody500.2rank0.3000-0.0180-0.0300 to -0.0090futile" in text
    assert "Whose lists" not in Page(render(run)).text


def test_costs_stand_beside_the_accuracy_of_the_strategy(with_calls: ReportData) -> None:
    row = {"strategy": "relevancy", "model": EVIL, "users": 943, "calls": 12_000.0,
           "tokens_in": 9e6, "tokens_out": 1e6, "cost_usd": 5.5, "latency_s": 10.0,
           "seconds": 37.5}  # fmt: skip
    costs = pl.DataFrame([row, row | {"strategy": "pairwise"}], schema=dict(STRATEGY_COSTS))
    html = render(replace(with_calls, costs=costs))
    text = Page(html).text
    assert re.search(r"relevancy.*?9430\.352012,0009,000,0001,000,000\$5\.5038", text)
    assert re.search(r"pairwise.*?943\u201312,000", text), "nothing measured, nothing shown"
    assert "<script>alert" not in html


def reasons(*methods: str) -> pl.DataFrame:
    rows = [
        {METHOD: method, PROTOCOL: "explanations", "k": k, METRIC: name, VALUE: 0.9,
         CI_LOW: 0.88, CI_HIGH: 0.92, "users": 943}
        for method in methods for k in (10, 20) for name in MEANINGS
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(METRICS))


@pytest.mark.parametrize(("sentence", "shown"), [
    ("preset `best` and `a<b>`", "preset <code>best</code> and <code>a&lt;b&gt;</code>"),
    ("`x`", "<code>x</code>"), ("a lone ` stays <i>", "a lone ` stays &lt;i&gt;"), ("", ""),
])  # fmt: skip
def test_names_in_backticks_stand_as_code(sentence: str, shown: str) -> None:
    page = environment().from_string("{{ sentence|with_code }}").render(sentence=sentence)
    assert page == shown
