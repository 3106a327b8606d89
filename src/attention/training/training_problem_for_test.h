// Attention calls with random contents for the tests of training attention, and
// the tolerances of their results against the float64 definition.

#ifndef ROPEWALK_ATTENTION_TRAINING_TRAINING_PROBLEM_FOR_TEST_H_
#define ROPEWALK_ATTENTION_TRAINING_TRAINING_PROBLEM_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "attention/definition/training_reference.h"
#include "attention/training/training.h"
#include "base/random.h"
#include "position/scheme.h"

namespace ropewalk::attention {

inline constexpr double kHalfUlp = 0x1p-24;
inline constexpr float kCanary = 12345.0f;
inline constexpr int64_t kGap =
    3;  // elements between the tokens of each tensor

inline position::Plan MakePlan(const std::string& spelling, int64_t D,
                               int64_t length, int64_t N = 64) {
  const position::ModelPositions model{.head_width = D,
                                       .rotary_width = D,
                                       .train_length = N,
                                       .original_length = N,
                                       .has_learned_logn = true};
  return position::BuildStack(
             position::Resolve(position::ParseScheme(spelling), model, length),
             model, length, 1)
      .front();
}

struct Mask {
  std::string name = "causal";
  std::vector<Direction> heads = {Direction::kForward};
  std::vector<int64_t> prefix = {};
  std::vector<int64_t> keys = {};
};

// One attention call with all its inputs and outputs. If `packed`, q, k and v
// are parts of one projection; else each has a gap between tokens.
template <typename Real>
struct Problem {
  position::Plan plan;
  TrainingShape shape;
  Mask mask;
  bool packed = false;
  std::vector<Real> data;    // q, k, v, or the packed projection
  std::vector<Real> d_data;  // their gradients
  std::vector<Real> head_scale;
  std::vector<Real> d_head_scale;
  std::vector<Real> out, lse, d_out;

  int64_t q_stride() const {
    return packed ? (shape.H + 2 * shape.G) * shape.D
                  : shape.H * shape.D + kGap;
  }
  int64_t k_stride() const {
    return packed ? q_stride() : shape.G * shape.D + kGap;
  }
  int64_t v_stride() const {
    return packed ? q_stride() : shape.G * shape.Dv + kGap;
  }
  int64_t k_at() const {
    return packed ? shape.H * shape.D : shape.B * shape.T * q_stride();
  }
  int64_t v_at() const {
    return packed ? (shape.H + shape.G) * shape.D
                  : k_at() + shape.B * shape.S * k_stride();
  }

  TrainingInputOf<Real> Input() const {
    return {
        .plan = &plan,
        .shape = shape,
        .mask = {.heads = mask.heads,
                 .prefix = mask.prefix.empty() ? nullptr : mask.prefix.data(),
                 .keys = mask.keys.empty() ? nullptr : mask.keys.data()},
        .q = data.data(),
        .k = data.data() + k_at(),
        .v = data.data() + v_at(),
        .q_stride = q_stride(),
        .k_stride = k_stride(),
        .v_stride = v_stride(),
        .head_scale = head_scale.empty() ? nullptr : head_scale.data()};
  }
  TrainingOutputOf<Real> Output() { return {out.data(), lse.data()}; }
  TrainingGradientsOf<Real> Gradients() {
    return {
        .out = out.data(),
        .lse = lse.data(),
        .d_out = d_out.data(),
        .d_q = d_data.data(),
        .d_k = d_data.data() + k_at(),
        .d_v = d_data.data() + v_at(),
        .d_head_scale = d_head_scale.empty() ? nullptr : d_head_scale.data()};
  }
};

inline Problem<float> MakeProblem(const position::Plan& plan,
                                  const TrainingShape& shape, const Mask& mask,
                                  uint64_t seed, bool packed = false) {
  Problem<float> p{
      .plan = plan, .shape = shape, .mask = mask, .packed = packed};
  Rng rng(seed);
  const auto normals = [&](int64_t size) {
    std::vector<float> x(static_cast<size_t>(size));
    for (float& value : x) value = static_cast<float>(rng.Normal());
    return x;
  };
  p.data = normals(packed ? shape.B * shape.T * p.q_stride()
                          : p.v_at() + shape.B * shape.S * p.v_stride());
  p.d_data.assign(p.data.size(), kCanary);
  p.d_out = normals(shape.B * shape.T * shape.H * shape.Dv);
  p.out.assign(p.d_out.size(), kCanary);
  p.lse.assign(static_cast<size_t>(shape.B * shape.H * shape.T), kCanary);
  if (plan.scale.kind == position::ScoreScale::Kind::kLearned) {
    for (int64_t h = 0; h < shape.H; ++h) {
      p.head_scale.push_back(0.2f * static_cast<float>(h));  // 0 among them
    }
    p.d_head_scale.assign(p.head_scale.size(), kCanary);
  }
  return p;
}

inline Problem<double> InDoubles(const Problem<float>& p) {
  const auto wide = [](const std::vector<float>& x) {
    return std::vector<double>(x.begin(), x.end());
  };
  return {.plan = p.plan,
          .shape = p.shape,
          .mask = p.mask,
          .packed = p.packed,
          .data = wide(p.data),
          .d_data = wide(p.d_data),
          .head_scale = wide(p.head_scale),
          .d_head_scale = wide(p.d_head_scale),
          .out = wide(p.out),
          .lse = wide(p.lse),
          .d_out = wide(p.d_out)};
}

inline void RunReference(Problem<double>& p) {
  ReferenceTrainForward(p.Input(), p.Output());
  ReferenceTrainBackward(p.Input(), p.Gradients());
}

inline void Train(Problem<float>& p, ParallelFor& threads) {
  TrainingScratch scratch;
  TrainForward(p.Input(), p.Output(), threads, scratch);
  TrainBackward(p.Input(), p.Gradients(), threads, scratch);
}

// The largest allowed |difference|, from the largest norms of q, k, v and
// d_out.
//
// A score is a sum of D rounded products, (D + 8) half-ulps of |q| |k| c with
// c = s / sqrt(D). The relative error of a weight, `weight`, is twice that (the
// sum adds the second part) plus the rounding of lse. The two terms of d_score
// = P (d_P - delta) are at most |d_out| |v|, each a sum of Dv products, and
// delta adds the error of out; `score` is the error of d_score / P. Rows of P
// sum to 1, its columns to `columns`.
struct Tolerances {
  double weight = 0;
  double score = 0;
  double q = 0, k = 0, v = 0, c = 0, o = 0;
  int64_t terms = 0;

  double Out() const { return v * (weight + 16 * kHalfUlp); }
  double Lse(double lse) const { return weight + 2 * kHalfUlp * std::abs(lse); }
  double Query() const {
    return c * k * (score + 2 * o * v * static_cast<double>(terms) * kHalfUlp);
  }
  double Key(double columns) const {
    return columns * c * q *
           (score + 2 * o * v * static_cast<double>(terms) * kHalfUlp);
  }
  double Value(double columns) const {
    return columns * o * (weight + static_cast<double>(terms) * kHalfUlp);
  }
};

inline double LargestNorm(const double* x, int64_t tokens, int64_t stride,
                          int64_t heads, int64_t width) {
  double largest = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t h = 0; h < heads; ++h) {
      double sum = 0;
      for (int64_t d = 0; d < width; ++d) {
        sum += std::pow(x[t * stride + h * width + d], 2);
      }
      largest = std::max(largest, std::sqrt(sum));
    }
  }
  return largest;
}

inline Tolerances TolerancesOf(const Problem<double>& p) {
  const TrainingShape& s = p.shape;
  const TrainingInputOf<double> in = p.Input();
  Tolerances t;
  t.q = LargestNorm(in.q, s.B * s.T, in.q_stride, s.H, s.D);
  t.k = LargestNorm(in.k, s.B * s.S, in.k_stride, s.G, s.D);
  t.v = LargestNorm(in.v, s.B * s.S, in.v_stride, s.G, s.Dv);
  t.o = LargestNorm(p.d_out.data(), s.B * s.T, s.H * s.Dv, s.H, s.Dv);
  for (int64_t i = 0; i < s.T; ++i) t.c = std::max(t.c, p.plan.scale(i));
  for (const auto& table : p.plan.tables) {
    t.c *= table.magnitude * table.magnitude;
  }
  for (const double scale : p.head_scale) t.c *= std::max(1.0, scale);
  t.c /= std::sqrt(static_cast<double>(s.D));
  double lse = 0;
  for (const double x : p.lse) lse = std::isinf(x) ? lse : std::max(lse, x);
  t.weight = 2 * static_cast<double>(s.D + 8) * kHalfUlp * t.q * t.k * t.c +
             (8 + lse) * kHalfUlp;
  t.score = t.o * t.v *
            (3 * t.weight + static_cast<double>(2 * s.Dv + 20) * kHalfUlp);
  t.terms = std::max(s.S, s.T * s.Group()) + s.D + 16;
  return t;
}

// Sums of the columns of P over the heads of a group. They equal d_v if d_out
// is 1.
inline std::vector<double> ColumnSums(Problem<double> p) {
  std::fill(p.d_out.begin(), p.d_out.end(), 1.0);
  ReferenceTrainBackward(p.Input(), p.Gradients());
  std::vector<double> sums;
  const TrainingGradientsOf<double> to = p.Gradients();
  for (int64_t at = 0; at < p.shape.B * p.shape.S; ++at) {
    for (int64_t g = 0; g < p.shape.G; ++g) {
      sums.push_back(to.d_v[at * p.v_stride() + g * p.shape.Dv]);
    }
  }
  return sums;
}

// The results of the definition for a problem, the same for every instruction
// set.
struct Expected {
  Problem<double> problem;
  Tolerances tolerances;
  std::vector<double> columns;  // [B, S, G]
};

inline Expected Expect(const Problem<float>& p) {
  Expected expected{.problem = InDoubles(p)};
  RunReference(expected.problem);
  expected.tolerances = TolerancesOf(expected.problem);
  expected.columns = ColumnSums(expected.problem);
  return expected;
}

inline void ExpectMatches(Problem<float>& got, Expected& expected,
                          const std::string& where) {
  Problem<double>& want = expected.problem;
  const Tolerances& allowed = expected.tolerances;
  const TrainingShape& s = got.shape;
  for (size_t at = 0; at < got.out.size(); ++at) {
    ASSERT_NEAR(got.out[at], want.out[at], allowed.Out()) << where << " " << at;
  }
  for (size_t at = 0; at < got.lse.size(); ++at) {
    if (std::isinf(want.lse[at])) {
      ASSERT_EQ(got.lse[at], want.lse[at]) << where;
    } else {
      ASSERT_NEAR(got.lse[at], want.lse[at], allowed.Lse(want.lse[at]))
          << where;
    }
  }
  const auto compare = [&](const char* name, const float* x, const double* y,
                           int64_t tokens, int64_t stride, int64_t heads,
                           int64_t width, const auto& tolerance) {
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t d = 0; d < heads * width; ++d) {
        ASSERT_NEAR(x[t * stride + d], y[t * stride + d],
                    tolerance(t * heads + d / width))
            << where << " " << name << " token " << t << " at " << d;
      }
      for (int64_t d = heads * width; d < stride && !got.packed; ++d) {
        ASSERT_EQ(x[t * stride + d], kCanary) << where << " " << name;
      }
    }
  };
  const auto column = [&](int64_t at) {
    return expected.columns[static_cast<size_t>(at)] + 1e-3;
  };
  const TrainingGradientsOf<float> a = got.Gradients();
  const TrainingGradientsOf<double> b = want.Gradients();
  compare("d_q", a.d_q, b.d_q, s.B * s.T, got.q_stride(), s.H, s.D,
          [&](int64_t) { return allowed.Query(); });
  compare("d_k", a.d_k, b.d_k, s.B * s.S, got.k_stride(), s.G, s.D,
          [&](int64_t at) { return allowed.Key(column(at)); });
  compare("d_v", a.d_v, b.d_v, s.B * s.S, got.v_stride(), s.G, s.Dv,
          [&](int64_t at) { return allowed.Value(column(at)); });
  for (size_t h = 0; h < got.d_head_scale.size(); ++h) {
    ASSERT_NEAR(got.d_head_scale[h], want.d_head_scale[h],
                static_cast<double>(s.B * s.T) * allowed.q * allowed.Query())
        << where;
  }
}

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_TRAINING_TRAINING_PROBLEM_FOR_TEST_H_
