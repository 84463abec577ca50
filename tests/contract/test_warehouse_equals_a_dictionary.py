"""A random sequence of writes leaves what the same sequence leaves in a dictionary by key."""

from hypothesis import HealthCheck, given, settings

from tests.contract.sequences import STEPS, apply_steps
from tests.contract.warehouse_engines import scratch_engine


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_of_writes_equals_its_dictionary_model(steps, tmp_path_factory):
    apply_steps(scratch_engine(tmp_path_factory.mktemp("model")), steps)
