import json

from recsys_core.report.sections.user_lists import file_count, fnv1a, user_lists
from tests.recsys_core.report.conftest import EVIL, attributions, catalogue, recommendations


def test_the_hash_is_fnv_1a():
    # Test vectors of Fowler, Noll and Vo.
    assert (fnv1a(""), fnv1a("a"), fnv1a("foobar")) == (0x811C9DC5, 0xE40C292C, 0xBF9CF968)


def test_a_list_has_title_year_score_reason_and_causes():
    found = json.loads(user_lists(recommendations(["405"]), catalogue()).page)
    item, score, reason, model, causes = found["users"]["405"][0]
    assert (found["items"][item], score, reason) == (["Contact", 1997], 1.0, "Contact")
    assert (found["models"][model], causes) == ("rules", ["liked: Contact", "genre:Drama"])


def test_an_entry_has_a_bar_and_where_it_would_stand_without_a_cited_title():
    found = json.loads(
        user_lists(recommendations(["405"]), catalogue(), attributions(["405"])).page
    )
    first, second = found["users"]["405"]
    shares, falls, before = first[5:]
    assert [found["parts"][number] for number in shares[::2]] == ["liked titles", "popularity"]
    assert (shares[1::2], before) == ([70, 30], 0)
    assert [[found["items"][item][0], place] for item, place in falls] == [["Contact", 1234]]
    assert second[5:] == [[], [], 0]


def test_no_text_ends_the_script_element():
    page = user_lists(recommendations([EVIL], EVIL), catalogue(EVIL)).page
    assert "<" not in page
    assert json.loads(page)["items"][0][0] == EVIL


def test_many_users_lie_in_the_files_that_their_hash_names(monkeypatch):
    monkeypatch.setattr("recsys_core.report.sections.user_lists.USERS_PER_FILE", 10)
    users = [f"u{number}" for number in range(95)]
    lists = user_lists(recommendations(users), catalogue(), page_users=94)
    assert (lists.page, file_count(lists), lists.users) == ("", 10, 95)
    seen = []
    for path, content in lists.files.items():
        number = int(path.removeprefix("lists/").removesuffix(".js"))
        text = content.decode()
        assert text.startswith(f"recsysLists({number}, ")
        part = json.loads(text[text.index("{") : text.rindex("}") + 1])
        assert {fnv1a(user) % 10 for user in part["users"]} == {number}
        seen += part["users"]
    assert sorted(seen) == sorted(users)


def test_nobody_has_no_list():
    nobody = user_lists(recommendations(["1"]).clear(), catalogue())
    assert (nobody.users, nobody.example, nobody.files) == (0, "", {})
