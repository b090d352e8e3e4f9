import pytest

from wildbench.categories import ALIASES, CATEGORIES, PAPER_COUNTS, canonical

PUBLISHED = (101, 152, 131, 166, 169, 80, 108, 63, 61, 97, 70, 123, 88)


def test_names_and_counts_are_those_of_the_paper() -> None:
    assert CATEGORIES[0] == "giraffe"
    assert CATEGORIES[12] == "gorilla"
    assert tuple(PAPER_COUNTS) == CATEGORIES
    assert tuple(PAPER_COUNTS.values()) == PUBLISHED
    assert sum(PUBLISHED) == 1409


def test_aliases_lead_to_categories() -> None:
    assert set(ALIASES.values()) <= set(CATEGORIES)
    assert not set(ALIASES) & set(CATEGORIES)


@pytest.mark.parametrize(
    ("written", "meant"), [("hyna", "hyena"), (" Lion\n", "lion"), ("HYNA", "hyena"), ("cow", "cow")]
)
def test_canonical(written: str, meant: str) -> None:
    assert canonical(written) == meant
