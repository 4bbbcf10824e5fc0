"""What a sample draws is spread evenly, and follows from its uid, the seed and the salt alone."""

import numpy as np

from pycurate.balance.draw import drawn, shares


def test_what_is_drawn_is_uniform_and_independent() -> None:
    n = 200_000
    uids = np.stack([np.zeros(n), np.arange(n)], axis=1).astype(np.uint64)  # as alike as uids can be
    draws = [shares(drawn(uids, seed, salt)) for seed, salt in ((0, 0), (1, 0), (0, 1), (0, 2**64 - 1))]
    draws.append(shares(drawn(uids[:, ::-1])))
    for draw in draws:
        counts, _ = np.histogram(draw, 100, (0, 1))
        assert counts.sum() == n and (np.abs(counts - n / 100) < 6 * np.sqrt(n / 100)).all()
    assert (np.abs(np.corrcoef(draws) - np.eye(len(draws))) < 6 / np.sqrt(n)).all()


def test_what_is_drawn_does_not_depend_on_others() -> None:
    uids = np.random.default_rng(0).integers(0, 2**63, (100, 2)).astype(np.uint64)
    one_by_one = [drawn(uids[i : i + 1], 3, 7)[0] for i in range(100)]
    assert drawn(uids, 3, 7).tolist() == one_by_one and len({*one_by_one}) == 100


def test_a_seed_may_be_any_whole_number() -> None:
    uids = np.random.default_rng(0).integers(0, 2**64, (100, 2), dtype=np.uint64)
    seeds = (0, 1, 2**63, 2**64 - 1, 2**64 + 7, 10**30)
    assert len({drawn(uids, seed).tobytes() for seed in seeds}) == len(seeds)
