import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: reads a real model")


@pytest.fixture
def tiny():
    from models import make_tiny

    return make_tiny()


@pytest.fixture(params=["operator", "pieces"])
def way(request, monkeypatch):
    """Attention to whole texts by the fused operator, and without it."""
    torch_ops = pytest.importorskip("ropewalk.torch_ops")
    if request.param == "pieces":
        monkeypatch.setattr(torch_ops, "available", lambda: False)
    elif not torch_ops.available():
        pytest.skip("no operators for this PyTorch: run python -m ropewalk.torch_ops.build")
    return request.param
