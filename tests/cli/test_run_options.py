"""Each parameter of a run is an option of `pycurate run` and `config`."""

from flows import pycurate

from pycurate.nextflow.parameters import SETTLED, run_parameters
from pycurate.parameters import all_parameters


def test_each_parameter_is_an_option_with_its_range() -> None:
    known = {one.name: one for one in run_parameters()}
    assert known.keys() == all_parameters().keys() - set(SETTLED)
    bounded = next(one for one in known.values() if one.minimum)
    for option, value, named in ((bounded.option, "-1", bounded.option), ("--preset", "ligth", "light")):
        done = pycurate("config", "--input", "x", "--output-file", "-", option, value)
        assert done.returncode == 2 and named in done.stderr


def test_a_number_is_finite() -> None:
    for option in ("--max-aspect", "--clip-score-threshold"):
        for value in ("nan", "inf", "-inf"):
            done = pycurate("config", "--input", "x", "--output-file", "-", option, value)
            assert done.returncode == 2 and option in done.stderr, done
