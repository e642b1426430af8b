"""The contract's assertions tell what they saw, as those of a test module do."""

import pytest

pytest.register_assert_rewrite("tests.contract.suite")
