"""When a run made again is said to agree with the one that a study has kept."""

import pandas as pd
import pytest

from recsys.studies.verification import NAMES, PLATFORM, SOURCE, Verification

KEPT = pd.Series(
    dict.fromkeys([*SOURCE, *PLATFORM, "code"], "same")
    | dict(zip(NAMES, ("last", "", "EASE", "0"), strict=True))
    | {"valid/ndcg@10": 0.5, "test/ndcg@10": 0.25, "test/rmse": ""}
)


def verified(**changes) -> Verification:
    return Verification(KEPT, pd.Series({**KEPT, **changes}), tolerance=0.05)


def test_on_one_platform_figures_agree_to_the_digit_or_not_at_all():
    assert verified().agrees
    assert "agree to the digit: 2 metrics" in verified().sentences()[0]
    other = verified(**{"test/ndcg@10": 0.2500001})
    assert not other.agrees
    assert "test/ndcg@10" in other.sentences()[1]


@pytest.mark.parametrize(("again", "agrees"), [(0.26, True), (0.27, False)])
def test_elsewhere_they_may_differ_by_the_tolerance(again, agrees):
    elsewhere = verified(machine="another", **{"test/ndcg@10": again})
    assert elsewhere.agrees == agrees
    assert "within 5%, since machine differ" in elsewhere.sentences()[0]


def test_figures_of_another_split_do_not_compare_however_near():
    assert not verified(split="another").agrees
    assert "do not compare: split" in verified(split="another").sentences()[0]


def test_a_change_of_code_is_told_and_allows_for_nothing():
    assert "the code has changed" in verified(code="another").sentences()[0]
    assert not verified(code="another", **{"test/ndcg@10": 0.251}).agrees
