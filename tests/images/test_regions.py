"""Regions and rectangles, against scipy, scikit-image and brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label
from scipy.spatial import ConvexHull
from skimage.measure import points_in_poly

from pycurate.images.regions import Rectangle, Region, hull, inside, regions

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=24))


def drawn(region: Region, shape: tuple[int, ...]) -> np.ndarray:
    """bool of this shape: the region's pixels."""
    mask = np.zeros(shape, bool)
    for row, start, stop in zip(region.rows, region.starts, region.stops, strict=True):
        mask[row, start:stop] = True
    return mask


@given(masks)
def test_regions_are_those_that_scipy_finds(mask: np.ndarray) -> None:
    labels, count = label(mask, np.ones((3, 3)))
    found = [drawn(region, mask.shape) for region in regions(mask)]
    assert len(found) == count
    for number, region in enumerate(found, 1):
        np.testing.assert_array_equal(region, labels == number)


@given(masks, st.integers(0, 1000))
def test_the_mean_over_a_region_is_numpys(mask: np.ndarray, seed: int) -> None:
    values = np.random.default_rng(seed).random(mask.shape, np.float32)
    for region in regions(mask):
        np.testing.assert_allclose(region.mean(values), values[drawn(region, mask.shape)].mean(), rtol=1e-5)


@given(masks.filter(np.any))
def test_a_rectangle_holds_its_region_and_no_turned_one_is_smaller(mask: np.ndarray) -> None:
    points = regions(mask)[0].corners()
    corners = hull(points)
    assert {tuple(corner) for corner in corners} == {tuple(points[at]) for at in ConvexHull(points).vertices}
    box = Rectangle.around(points)
    angles = np.linspace(0, np.pi / 2, 400)
    turned = points @ np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 0, 1)
    areas = np.ptp(turned, axis=1).prod(axis=1)
    assert np.prod(box.sides) <= areas.min() + 1e-9
    assert np.isclose(ConvexHull(box.corners()).volume, np.prod(box.sides))
    assert np.isclose(ConvexHull(np.concatenate([points, box.corners()])).volume, np.prod(box.sides))


@given(st.integers(0, 10**6))
def test_what_is_inside_is_what_scikit_image_finds_inside(seed: int) -> None:
    chance = np.random.default_rng(seed)
    box = Rectangle.around(chance.normal(12, 8, (5, 2))).grown(chance.random())
    polygon = box.corners()[:: chance.choice((1, -1))]
    y, x = np.mgrid[:20, :30] + 0.5
    expected = points_in_poly(np.stack([x.ravel(), y.ravel()], axis=1), polygon).reshape(20, 30)
    np.testing.assert_array_equal(inside(polygon, 20, 30), expected)


def test_growing_moves_each_side() -> None:
    box = Rectangle.around(np.array([(2.0, 3.0), (8.0, 3.0), (8.0, 5.0), (2.0, 5.0)])).grown(1.5)
    assert sorted(map(tuple, box.corners().tolist())) == [(0.5, 1.5), (0.5, 6.5), (9.5, 1.5), (9.5, 6.5)]
