// Activations of feed-forward layers, and the soft-cap.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/lanes-inl.h"
#include "kernels/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x / (1 + exp(-z)), computed from exp(-|z|), which does not overflow; far
// below zero the result is 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V TimesSigmoid(D d, V x, V z) {
  const V one = hn::Set(d, 1.0f);
  const V e = FastExp(d, hn::Neg(hn::Abs(z)));
  const V upper = hn::IfThenElse(hn::Lt(z, hn::Zero(d)), e, one);
  return hn::Mul(x, hn::Div(upper, hn::Add(one, e)));
}

struct Silu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return TimesSigmoid(d, x, x);
  }
};

// (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u)).
struct GeluTanh {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    constexpr double kTwice = 1.5957691216057308;  // 2 sqrt(2 / pi)
    const V cubic = hn::MulAdd(
        hn::Mul(x, x), hn::Set(d, static_cast<float>(kTwice * 0.044715)),
        hn::Set(d, static_cast<float>(kTwice)));
    return TimesSigmoid(d, x, hn::Mul(x, cubic));
  }
};

struct QuickGelu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return TimesSigmoid(d, x, hn::Mul(x, hn::Set(d, 1.702f)));
  }
};

struct Relu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);  // keeps NaN
  }
};

// x Phi(x), where Phi(-a) = exp(-a^2 / 2) g(a) for a = |x|. g falls slowly from
// 1/2, in the end like 1 / (a sqrt(2 pi)), and is approximated by t times a
// polynomial of degree 8 in t = 1 / (1 + 0.35 a). The polynomial minimises the
// largest relative error on [0, 14.5], which is 3.3e-8 (weighted least squares,
// reweighted by the error). Beyond 14.5 the exponential is 0.
struct Gelu {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D d, V x) const {
    const V one = hn::Set(d, 1.0f);
    const V a = hn::Abs(x);
    const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.35f), one));
    V p = hn::Set(d, -0.029158030212996382f);
    p = hn::MulAdd(p, t, hn::Set(d, 0.14403161061535563f));
    p = hn::MulAdd(p, t, hn::Set(d, -0.25584040253619184f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.15932125354019552f));
    p = hn::MulAdd(p, t, hn::Set(d, -0.023213394170149178f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.10555292704690736f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.11982118465735883f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.13986352896511517f));
    p = hn::MulAdd(p, t, hn::Set(d, 0.1396213061077882f));
    const V e = FastExp(d, hn::Mul(hn::Mul(a, a), hn::Set(d, -0.5f)));
    const V below = hn::Mul(hn::Mul(p, t), e);
    const V phi =
        hn::IfThenElse(hn::Lt(x, hn::Zero(d)), below, hn::Sub(one, below));
    return hn::Mul(x, phi);
  }
};

template <class Body>
HWY_INLINE void WithActivation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::kSilu:
      return body(Silu());
    case Activation::kGelu:
      return body(Gelu());
    case Activation::kGeluTanh:
      return body(GeluTanh());
    case Activation::kRelu:
      return body(Relu());
    case Activation::kQuickGelu:
      return body(QuickGelu());
  }
}

void ActivateImpl(Activation kind, const float* x, int64_t size, float* y) {
  WithActivation(kind, [&](auto act) HWY_ATTR {
    ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(act(d, hn::LoadU(d, x + i)), d, y + i);
    });
  });
}

void GatedActivationImpl(Activation kind, const float* gate, const float* up,
                         int64_t size, float* y) {
  WithActivation(kind, [&](auto act) HWY_ATTR {
    ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
      const auto value = act(d, hn::LoadU(d, gate + i));
      hn::StoreU(hn::Mul(value, hn::LoadU(d, up + i)), d, y + i);
    });
  });
}

void SoftCapImpl(float cap, int64_t size, float* y) {
  const float inverse = 1 / cap;
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(
        Capped(d, hn::Set(d, cap), hn::Set(d, inverse), hn::LoadU(d, y + i)), d,
        y + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(ActivateImpl);
HWY_EXPORT(GatedActivationImpl);
HWY_EXPORT(SoftCapImpl);
void Activate(Activation kind, const float* x, int64_t size,
              float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(ActivateImpl)(kind, x, size, y);
}
void GatedActivation(Activation kind, const float* gate, const float* up,
                     int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(GatedActivationImpl)(kind, gate, up, size, y);
}
void SwiGlu(const float* gate, const float* up, int64_t size,
            float* y) noexcept {
  GatedActivation(Activation::kSilu, gate, up, size, y);
}
void SoftCap(float cap, int64_t size, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(SoftCapImpl)(cap, size, y);
}
}  // namespace ropewalk::kernels
#endif
