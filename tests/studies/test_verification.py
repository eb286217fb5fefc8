"""A repeated run agrees with the published one, or does not."""

import pandas as pd
import pytest

from recsys.studies.verification import PLATFORM, RUN_KEY, SOURCE, Verification, published_run, seed_deviations

PUBLISHED = pd.Series(
    dict.fromkeys([*SOURCE, *PLATFORM, "code"], "same")
    | dict(zip(RUN_KEY, ("last", "", "EASE", "0"), strict=True))
    | {"valid/ndcg@10": 0.5, "test/ndcg@10": 0.25, "test/rmse": ""}
)


ONE_SEED = pd.Series(dtype=float)


def verified(deviations: pd.Series = ONE_SEED, **changes) -> Verification:
    return Verification(PUBLISHED, pd.Series({**PUBLISHED, **changes}), deviations, tolerance=0.05)


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
    assert "within 5%, since machine differs" in verification.sentences()[0]
    assert ("the largest difference is 0.01" in verification.sentences()[0]) == agrees


@pytest.mark.parametrize(("value", "agrees"), [(0.255, True), (0.257, False)])
def test_rows_of_several_seeds_may_differ_by_three_deviations_on_another_platform(value, agrees):
    deviations = pd.Series({"valid/ndcg@10": 0.01, "test/ndcg@10": 0.002})
    verification = verified(deviations, machine="another", **{"test/ndcg@10": value})
    assert verification.agrees == agrees
    assert "within 3 standard deviations of its seeds" in verification.sentences()[0]
    assert ("(0.006000 allowed)" in verification.sentences()[-1]) != agrees


def test_equal_results_of_another_platform_are_said_to_agree_to_the_digit():
    assert "agree to the digit: 2 metrics" in verified(machine="another").sentences()[0]


def test_deviations_are_those_of_the_seeds_of_the_row(tmp_path):
    rows = [("last", "", "MF", seed, "complete", value) for seed, value in enumerate((0.1, 0.2, 0.3))]
    rows += [("last", "", "EASE", 0, "complete", 0.9), ("last", "", "MF", 3, "not run", None)]
    columns = ["setting", "variant", "row", "seed", "status", "test/ndcg@10"]
    pd.DataFrame(rows, columns=columns).assign(seconds_fit=1.0).to_csv(tmp_path / "runs.csv", index=False)
    of_row = {
        row: seed_deviations(tmp_path / "runs.csv", published_run(tmp_path / "runs.csv", row=row))
        for row in ("MF", "EASE")
    }
    assert of_row["MF"].to_dict() == pytest.approx({"test/ndcg@10": 0.1})
    assert of_row["EASE"].isna().all()


def test_metrics_that_are_equal_for_all_seeds_may_differ_by_the_tolerance_on_another_platform(tmp_path):
    rows = [("last", "", "MF", seed, "complete", value, 0.1) for seed, value in enumerate((0.2, 0.3, 0.4))]
    columns = ["setting", "variant", "row", "seed", "status", "test/ndcg@10", "test/ndcg@10/without_history"]
    frame = pd.DataFrame(rows, columns=columns).assign(seconds_fit=1.0, machine="one")
    frame.to_csv(tmp_path / "runs.csv", index=False)
    published = published_run(tmp_path / "runs.csv", row="MF", seed=0)
    deviations = seed_deviations(tmp_path / "runs.csv", published)
    for value, agrees in ((0.1000001, True), (0.102, False)):
        repeated = pd.Series({**published, "machine": "another", "test/ndcg@10/without_history": value})
        assert Verification(published, repeated, deviations, tolerance=0.01).agrees == agrees


def test_results_of_another_split_are_not_comparable():
    assert not verified(split="another").agrees
    assert "not comparable: split differs" in verified(split="another").sentences()[0]


def test_a_change_of_code_is_reported_and_allows_no_difference():
    assert "the code has changed" in verified(code="another").sentences()[0]
    assert not verified(code="another", **{"test/ndcg@10": 0.251}).agrees
