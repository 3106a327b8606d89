#include "kernels/cpu/gradients.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gradients.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/exp-inl.h"
#include "kernels/cpu/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The sum of term(tag, i). Whole vectors are added in float32, in four chains
// so that additions do not wait for each other; the rest in float64.
template <class Term>
HWY_INLINE double SumLanes(int64_t size, const Term& term) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d), s3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
    s0 = hn::Add(s0, term(d, i));
    s1 = hn::Add(s1, term(d, i + lanes));
    s2 = hn::Add(s2, term(d, i + 2 * lanes));
    s3 = hn::Add(s3, term(d, i + 3 * lanes));
  }
  for (; i + lanes <= size; i += lanes) s0 = hn::Add(s0, term(d, i));
  double sum =
      hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  const hn::CappedTag<float, 1> d1;
  for (; i < size; ++i) sum += static_cast<double>(hn::GetLane(term(d1, i)));
  return sum;
}

float RmsNormForwardImpl(const float* x, const float* weight, float epsilon,
                         int64_t size, float* y) {
  const double sum = SumLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    const auto v = hn::LoadU(d, x + i);
    return hn::Mul(v, v);
  });
  const auto r = static_cast<float>(
      1 / std::sqrt(sum / static_cast<double>(size) + epsilon));
  if (weight == nullptr) {
    ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, r)), d, y + i);
    });
  } else {
    ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, r));
      hn::StoreU(hn::Mul(v, hn::LoadU(d, weight + i)), d, y + i);
    });
  }
  return r;
}

void RmsNormBackwardImpl(const float* x, const float* weight, float r,
                         const float* dy, int64_t size, float* dx,
                         float* dweight) {
  const auto gradient = [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::LoadU(d, dy + i);
    return weight == nullptr ? g : hn::Mul(g, hn::LoadU(d, weight + i));
  };
  const double dot = SumLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    return hn::Mul(gradient(d, i), hn::LoadU(d, x + i));
  });
  const auto pull = static_cast<float>(static_cast<double>(r) * r * r * dot /
                                       static_cast<double>(size));
  if (dweight != nullptr) {
    ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
      const auto v = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, r));
      hn::StoreU(hn::MulAdd(v, hn::LoadU(d, dy + i), hn::LoadU(d, dweight + i)),
                 d, dweight + i);
    });
  }
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::Mul(gradient(d, i), hn::Set(d, r));
    hn::StoreU(hn::NegMulAdd(hn::LoadU(d, x + i), hn::Set(d, pull), g), d,
               dx + i);
  });
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V Sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, FastExp(d, hn::Neg(x))));
}

// silu'(x) = s (1 + x (1 - s)) with s = sigmoid(x).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V SiluSlope(D d, V x, V s) {
  const V one = hn::Set(d, 1.0f);
  return hn::Mul(s, hn::MulAdd(x, hn::Sub(one, s), one));
}

void SwiGluBackwardImpl(const float* gate, const float* up, const float* dy,
                        int64_t size, float* dgate, float* dup) {
  ForLanes(size, [&](auto d, int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, gate + i);
    const auto s = Sigmoid(d, x);
    const auto g = hn::LoadU(d, dy + i);
    const auto u = hn::LoadU(d, up + i);
    hn::StoreU(hn::Mul(g, hn::Mul(x, s)), d, dup + i);
    hn::StoreU(hn::Mul(hn::Mul(g, u), SiluSlope(d, x, s)), d, dgate + i);
  });
}

double CrossEntropyImpl(float* logits, int64_t V, int64_t target,
                        float weight) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float aim = logits[target];
  // On some targets Max ignores a NaN among the logits, but the sum keeps it.
  float top = logits[0];
  int64_t i = 0;
  if (V >= lanes) {
    auto m0 = hn::LoadU(d, logits);
    auto m1 = m0;
    for (i = lanes; i + 2 * lanes <= V; i += 2 * lanes) {
      m0 = hn::Max(m0, hn::LoadU(d, logits + i));
      m1 = hn::Max(m1, hn::LoadU(d, logits + i + lanes));
    }
    top = hn::GetLane(hn::MaxOfLanes(d, hn::Max(m0, m1)));
  }
  for (; i < V; ++i) top = logits[i] > top ? logits[i] : top;
  ForLanes(V, [&](auto tag, int64_t at) HWY_ATTR {
    const auto x = hn::Sub(hn::LoadU(tag, logits + at), hn::Set(tag, top));
    hn::StoreU(FastExp(tag, x), tag, logits + at);
  });
  const double sum = SumLanes(V, [&](auto tag, int64_t at) HWY_ATTR {
    return hn::LoadU(tag, logits + at);
  });
  const auto factor = static_cast<float>(weight / sum);
  ForLanes(V, [&](auto tag, int64_t at) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(tag, logits + at), hn::Set(tag, factor)), tag,
               logits + at);
  });
  logits[target] -= weight;
  return std::log(sum) + static_cast<double>(top) - static_cast<double>(aim);
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(RmsNormForwardImpl);
HWY_EXPORT(RmsNormBackwardImpl);
HWY_EXPORT(SwiGluBackwardImpl);
HWY_EXPORT(CrossEntropyImpl);
float RmsNormForward(const float* x, const float* weight, float epsilon,
                     int64_t size, float* y) noexcept {
  return HWY_DYNAMIC_DISPATCH(RmsNormForwardImpl)(x, weight, epsilon, size, y);
}
void RmsNormBackward(const float* x, const float* weight, float r,
                     const float* dy, int64_t size, float* dx,
                     float* dweight) noexcept {
  HWY_DYNAMIC_DISPATCH(RmsNormBackwardImpl)
  (x, weight, r, dy, size, dx, dweight);
}
void SwiGluBackward(const float* gate, const float* up, const float* dy,
                    int64_t size, float* dgate, float* dup) noexcept {
  HWY_DYNAMIC_DISPATCH(SwiGluBackwardImpl)(gate, up, dy, size, dgate, dup);
}
double CrossEntropy(float* logits, int64_t V, int64_t target,
                    float weight) noexcept {
  return HWY_DYNAMIC_DISPATCH(CrossEntropyImpl)(logits, V, target, weight);
}
}  // namespace ropewalk::kernels
#endif
