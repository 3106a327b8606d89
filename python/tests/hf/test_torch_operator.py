"""torch.ops.ropewalk.attention: values, gradients, fake tensors."""

import pytest
from attention_definition import attention
from shared import EDGES, SCHEMES, plan_of, tensors, torch

import ropewalk.torch_ops

if not ropewalk.torch_ops.available():
    pytest.skip(
        "no operators for this PyTorch: run python -m ropewalk.torch_ops.build",
        allow_module_level=True,
    )


def turned(x):
    """[B, heads, n, D] as the operator takes it."""
    return x.transpose(1, 2)


def operator(q, k, v, plan, **options):
    out = torch.ops.ropewalk.attention(
        turned(q), turned(k), turned(v), plan.text, **options
    )
    return turned(out)


@pytest.mark.parametrize("position", SCHEMES + EDGES)
def test_values_and_gradients_are_those_of_the_definition(position):
    plan = plan_of(position)
    for dtype, allowed in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        q, k, v = tensors(70, 70, dtype, Dv=10)
        got = operator(q, k, v, plan, scale=0.3)
        wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
        want = attention(*wide, plan, 0.3)
        torch.testing.assert_close(got.double(), want, rtol=0, atol=allowed)
        d_out = torch.randn_like(want)
        for a, b in zip(
            torch.autograd.grad(got, (q, k, v), d_out.to(dtype)),
            torch.autograd.grad(want, wide, d_out),
        ):
            torch.testing.assert_close(a.double(), b, rtol=0, atol=10 * allowed)


@pytest.mark.parametrize("position, mask", [
    ("rerope:window=5+logn", "causal"), ("rope", "bidirectional"),
    ("leaky-rerope:window=5,k=3", "prefix"), ("rope", "mixed-heads"),
])  # fmt: skip
def test_gradcheck(position, mask):
    plan = plan_of(position)
    torch.manual_seed(1)
    q, k, v = (
        torch.randn(2, n, h, 16, dtype=torch.float64, requires_grad=True)
        for n, h in ((9, 4), (9, 2), (9, 2))
    )
    head_scale = torch.rand(4, dtype=torch.float64, requires_grad=True)
    prefix = torch.tensor([3, 5]) if mask == "prefix" else None
    keys = torch.tensor([9, 7])
    assert torch.autograd.gradcheck(
        lambda q, k, v, s: torch.ops.ropewalk.attention(
            q, k, v, plan.text, mask, prefix, keys, s, 0.4
        ),
        (q, k, v, head_scale),
    )


def test_scale_is_that_of_the_heads_by_default():
    plan = plan_of("rope")
    q, k, v = tensors(20, 20)
    torch.testing.assert_close(
        operator(q, k, v, plan), operator(q, k, v, plan, scale=24**-0.5)
    )


class Attend(torch.nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.plan = plan.text
        self.mix = torch.nn.Linear(16, 16, bias=False)

    def forward(self, q, k, v):
        q = self.mix(q)
        return torch.ops.ropewalk.attention(q, k, v, self.plan, scale=0.3).relu()


def heads(n, seed=2):
    torch.manual_seed(seed)
    return [torch.randn(2, n, h, 16) for h in (4, 2, 2)]


def needs(name):
    """Skips a test of what this PyTorch does not have."""
    module = torch
    for part in name.split("."):
        module = getattr(module, part, None)
    reason = f"PyTorch {torch.__version__} has no torch.{name}"
    return pytest.mark.skipif(module is None, reason=reason)


def test_shapes_are_known_without_numbers():
    q, k, v = (x.to("meta").requires_grad_() for x in heads(9))
    out = torch.ops.ropewalk.attention(q, k, v[..., :10], plan_of("rope").text)
    assert out.shape == (2, 9, 4, 10)
    out.sum().backward()
    assert v.grad.shape == v.shape and q.grad.device.type == "meta"


@needs("compile")
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile_sees_it_as_one_node(dynamic):
    module = Attend(plan_of("rerope:window=8+logn-clip"))
    compiled = torch.compile(
        module, backend="aot_eager", fullgraph=True, dynamic=dynamic
    )
    for n in (20, 33, 50):
        inputs = [x.requires_grad_() for x in heads(n)]
        want = module(*inputs)
        got = compiled(*inputs)
        torch.testing.assert_close(got, want)
        for a, b in zip(
            torch.autograd.grad(got.sum(), [*inputs, module.mix.weight]),
            torch.autograd.grad(want.sum(), [*inputs, module.mix.weight]),
        ):
            torch.testing.assert_close(a, b)


@needs("export.export")
def test_export_keeps_it():
    module = Attend(plan_of("rerope:window=8"))
    with torch.no_grad():
        exported = torch.export.export(
            module, tuple(heads(20)),
            dynamic_shapes=[{1: torch.export.Dim("n", min=2, max=64)}] * 3,
        )  # fmt: skip
        assert "ropewalk.attention" in exported.graph_module.code
        inputs = heads(41)
        torch.testing.assert_close(exported.module()(*inputs), module(*inputs))


@needs("library.opcheck")
def test_opcheck():
    inputs = [x.requires_grad_() for x in heads(12)]
    torch.library.opcheck(
        torch.ops.ropewalk.attention.default,
        (*inputs, plan_of("rerope:window=4").text),
    )


@pytest.mark.parametrize("change, message", [
    ({"plan": "ropewalk-plan 2"}, "'ropewalk-plan 1' expected"),
    ({"mask": "all"}, "mask: 'all' is none of"),
    ({"mask": "prefix"}, "takes a prefix"),
    ({"k": torch.randn(2, 9, 3, 16)}, "do not fit each other|multiple of key heads"),
    ({"q": torch.randn(2, 9, 4, 8), "k": torch.randn(2, 9, 2, 8)}, "rotary pairs"),
    ({"q": torch.randn(2, 9, 4, 16).double()}, "one type"),
])  # fmt: skip
def test_mistakes_are_told(change, message):
    q, k, v = heads(9)
    inputs = {"q": q, "k": k, "v": v, "plan": plan_of("rope").text, **change}
    with pytest.raises(RuntimeError, match=message):
        torch.ops.ropewalk.attention(**inputs)
