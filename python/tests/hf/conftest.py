import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: reads a real model")


@pytest.fixture
def tiny():
    from models import make_tiny

    return make_tiny()
