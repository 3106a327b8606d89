"""Banded attention against its definition, and the calls that it is made of."""

import numpy as np
import pytest
from attention_definition import attention, owners
from models import transformers  # noqa: F401  ropewalk.hf needs it
from shared import EDGES, SCHEMES, plan_of, tensors, torch

from ropewalk.hf import Setting, banded_attention
from ropewalk.hf import kernels
from ropewalk.hf.regions import CAUSAL, MASKED, STRIPE, UPPER, calls_of


@pytest.mark.parametrize("stripes", [False, True])
@pytest.mark.parametrize("T, S, first", [(70, 70, 0), (13, 70, 0), (1, 70, 0),
                                         (1, 1, 0), (70, 70, 5), (600, 600, 0)])  # fmt: skip
@pytest.mark.parametrize("position", SCHEMES + EDGES)
def test_every_pair_lies_in_one_call_of_its_band(position, T, S, first, stripes):
    plan = plan_of(position)
    i = np.arange(first + S - T, first + S)
    j = np.arange(first, first + S)
    got = np.full((T, S), -1)
    for call in calls_of(plan, int(i[0]), T, first, S, stripes):
        n, m = call.q1 - call.q0, call.k1 - call.k0
        shown = np.ones((n, m), bool) if call.kind != MASKED else call.mask
        if call.kind in (CAUSAL, UPPER):
            assert n == m
            t, s = np.arange(n)[:, None], np.arange(n)[None, :]
            shown = s <= t if call.kind == CAUSAL else s > t
            shown &= t // (n // call.blocks) == s // (n // call.blocks)
        if call.kind == STRIPE:
            apart = np.arange(n)[:, None] - np.arange(m)
            shown = (apart >= call.low) & (apart < call.high)
            assert shown.any(1).all()
        part = got[call.q0 : call.q1, call.k0 : call.k1]
        assert (part[shown] == -1).all()
        part[shown] = call.band
    np.testing.assert_array_equal(got, owners(plan, i, j))


@pytest.mark.parametrize("stripes", [False, True])
@pytest.mark.parametrize("softcap, sunk, Dv", [(None, False, 24), (2.0, True, 10)])
@pytest.mark.parametrize("T, S", [(70, 70), (13, 70), (1, 70)])
@pytest.mark.parametrize("position", SCHEMES + EDGES)
def test_values_and_gradients_are_those_of_the_definition(
    position, T, S, softcap, sunk, Dv, stripes, monkeypatch
):
    monkeypatch.setattr(kernels, "takes_stripes", lambda q: stripes)
    plan = plan_of(position)
    q, k, v = tensors(T, S, Dv=Dv)
    sinks = torch.randn(6, dtype=torch.float64, requires_grad=True) if sunk else None
    inputs = [q, k, v] + ([sinks] if sunk else [])
    setting = Setting(plan, 0.3, softcap)
    want = attention(q, k, v, plan, 0.3, 0, softcap, sinks)
    got = banded_attention(q, k, v, setting, 0, sinks)
    # Sums of 70 products of normals in float64: 1e-13 is 100 times their error.
    torch.testing.assert_close(got, want, rtol=0, atol=1e-13)
    d_out = torch.randn_like(want)
    for a, b in zip(
        torch.autograd.grad(got, inputs, d_out),
        torch.autograd.grad(want, inputs, d_out),
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(
            banded_attention(q, k, v, setting, 0, sinks), want, rtol=0, atol=1e-13
        )


@pytest.mark.parametrize(
    "dtype, allowed", [(torch.float32, 1e-5), (torch.bfloat16, 0.05)]
)
@pytest.mark.parametrize("position", ["rerope:window=16+logn-clip", "dca:chunk=24"])
def test_other_types_are_near_the_definition(position, dtype, allowed):
    plan = plan_of(position)
    q, k, v = (x.detach().to(dtype) for x in tensors(70, 70))
    want = attention(q.double(), k.double(), v.double(), plan, 0.3)
    got = banded_attention(q, k, v, Setting(plan, 0.3, operator=False))
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), want, rtol=0, atol=allowed)


def test_a_window_may_lack_the_keys_that_it_no_longer_reads():
    plan = plan_of("window:size=16")
    q, k, v = (x.detach() for x in tensors(5, 70))
    whole = banded_attention(q, k, v, Setting(plan, 0.3))
    last = banded_attention(q, k[:, :, -20:], v[:, :, -20:], Setting(plan, 0.3), 50)
    torch.testing.assert_close(last, whole, rtol=0, atol=1e-14)


def test_memory_does_not_grow_with_the_square_of_the_length():
    """No tensor of a call has as many numbers as there are pairs."""
    n = 2048
    plan = plan_of("rerope:window=256+logn-clip", n)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for x in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(x, torch.Tensor):
                    largest = max(largest, x.numel())
            return out

    q, k, v = (torch.randn(1, 1, n, 24, requires_grad=True) for _ in range(3))
    with Watch():
        banded_attention(q, k, v, Setting(plan, 0.2, operator=False)).sum().backward()
    assert n * 24 <= largest <= 2 * n * 24


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("position", ["rerope:window=16", "dca:chunk=24"])
def test_calls_on_cuda_are_those_that_its_kernels_take(position, dtype):
    """Shapes, types and devices alone: tensors that have no numbers."""
    fake = pytest.importorskip("torch._subclasses.fake_tensor")
    from ropewalk.hf.banded import _Attention, _Sight

    setting = Setting(plan_of(position), 0.1)
    with fake.FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        q, k, v = (
            torch.empty(2, heads, 100, 64, device="cuda", dtype=dtype)
            for heads in (6, 2, 2)
        )
        out, lse = _Sight(q, k, setting, 0).forward(v, None)
        assert out.shape == q.shape and out.dtype == dtype and out.is_cuda

        class Context:
            saved_tensors = (q, k, v, None, out, lse)
            needs_input_grad = (True, True, True, False)
            first_key = 0

        Context.setting = setting
        gradients = _Attention.backward(Context, torch.empty_like(out))
        for x, d_x in zip((q, k, v), gradients):
            assert d_x.shape == x.shape and d_x.dtype == dtype and d_x.is_cuda
