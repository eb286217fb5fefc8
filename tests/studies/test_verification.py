"""A repeated run agrees with the published one, or does not."""

import pandas as pd
import pytest

from recsys.studies.verification import PLATFORM, RUN_KEY, SOURCE, Verification

PUBLISHED = pd.Series(
    dict.fromkeys([*SOURCE, *PLATFORM, "code"], "same")
    | dict(zip(RUN_KEY, ("last", "", "EASE", "0"), strict=True))
    | {"valid/ndcg@10": 0.5, "test/ndcg@10": 0.25, "test/rmse": ""}
)


def verified(**changes) -> Verification:
    return Verification(PUBLISHED, pd.Series({**PUBLISHED, **changes}), tolerance=0.05)


def test_results_of_one_platform_agree_to_the_digit_or_not_at_all():
    assert verified().agrees
    assert "agree to the digit: 2 metrics" in verified().sentences()[0]
    other = verified(**{"test/ndcg@10": 0.2500001})
    assert not other.agrees
    assert "test/ndcg@10" in other.sentences()[1]


@pytest.mark.parametrize(("value", "agrees"), [(0.26, True), (0.27, False)])
def test_results_of_another_platform_may_differ_by_the_tolerance(value, agrees):
    verification = verified(machine="another", **{"test/ndcg@10": value})
    assert verification.agrees == agrees
    assert "within 5%, since machine differ" in verification.sentences()[0]


def test_results_of_another_split_are_not_comparable():
    assert not verified(split="another").agrees
    assert "not comparable: split differ" in verified(split="another").sentences()[0]


def test_a_change_of_code_is_reported_and_allows_no_difference():
    assert "the code has changed" in verified(code="another").sentences()[0]
    assert not verified(code="another", **{"test/ndcg@10": 0.251}).agrees
