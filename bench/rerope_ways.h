// Three ways to compute rerope with its gradient, for one head.
//
//   ours     attention/training/training.h, which finds the bands of every
//            block of keys
//   twice    two flash passes, the near one with a window and the far one on
//            shifted rows, merged by their log-sum-exp; each pass is our kernel
//            over a plan of one band
//   classic  two full score matrices, a selection, softmax and one product,
//   with
//            OpenBLAS; backward uses the stored weights

#ifndef ROPEWALK_BENCH_REROPE_WAYS_H_
#define ROPEWALK_BENCH_REROPE_WAYS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "attention/training/training.h"
#include "base/aligned.h"
#include "base/parallel.h"
#include "base/random.h"
#include "bench/blas.h"
#include "kernels/cpu/kernels.h"
#include "position/scheme.h"

namespace ropewalk::bench {

using Floats = AlignedBuffer<float>;

inline constexpr int64_t kWindow = 512;

inline position::Plan MakePlan(const std::string& spelling, int64_t D,
                               int64_t n) {
  const position::ModelPositions model{.head_width = D,
                                       .rotary_width = D,
                                       .train_length = n,
                                       .original_length = n};
  return position::BuildStack(
             position::Resolve(position::ParseScheme(spelling), model, n),
             model, n, 1)
      .front();
}

inline Floats Normals(int64_t size, uint64_t seed) {
  Rng rng(seed);
  Floats out(size);
  for (int64_t at = 0; at < size; ++at) {
    out[at] = static_cast<float>(rng.Normal());
  }
  return out;
}

// One head of n tokens, with its results.
struct Head {
  int64_t n;
  int64_t D;
  Floats q{Normals(n * D, 1)}, k{Normals(n * D, 2)}, v{Normals(n * D, 3)};
  Floats d_out{Normals(n * D, 4)};
  Floats out{n * D}, lse{n};
  Floats d_q{n * D}, d_k{n * D}, d_v{n * D};
};

// A way to compute a head. Backward must follow Forward.
class Way {
 public:
  virtual ~Way() = default;
  virtual void Forward(Head& head) = 0;
  virtual void Backward(Head& head) = 0;
};

inline ParallelFor& Threads() {
  static const std::unique_ptr<ParallelFor> pool = MakeThreadPool(0);
  return *pool;
}

// Calls body(first, last) for runs that cover [0, n).
inline void ForRows(int64_t n, int64_t run,
                    const std::function<void(int64_t, int64_t)>& body) {
  Threads().Run((n + run - 1) / run, [&](int64_t task, int64_t) {
    body(task * run, std::min(n, (task + 1) * run));
  });
}

// Training attention over a plan, on the rows of a head from `query` and
// `key` on.
struct Pass {
  position::Plan plan;
  int64_t n = 0;
  int64_t D = 0;
  attention::TrainingScratch scratch = {};

  attention::TrainingInput Input(const Head& head, int64_t query) const {
    return {.plan = &plan,
            .shape = {1, n, n, 1, 1, D, D},
            .q = head.q.data() + query * D,
            .k = head.k.data(),
            .v = head.v.data(),
            .q_stride = D,
            .k_stride = D,
            .v_stride = D};
  }
};

class Ours : public Way {
 public:
  Ours(const std::string& spelling, int64_t n, int64_t D)
      : pass_{MakePlan(spelling, D, n), n, D} {}

  void Forward(Head& head) override {
    attention::TrainForward(pass_.Input(head, 0),
                            {head.out.data(), head.lse.data()}, Threads(),
                            pass_.scratch);
  }
  void Backward(Head& head) override {
    attention::TrainBackward(pass_.Input(head, 0),
                             {.out = head.out.data(),
                              .lse = head.lse.data(),
                              .d_out = head.d_out.data(),
                              .d_q = head.d_q.data(),
                              .d_k = head.d_k.data(),
                              .d_v = head.d_v.data()},
                             Threads(), pass_.scratch);
  }

 private:
  Pass pass_;
};

// The far pass is causal on q2[w:], k2[:n - w], all at distance w.
class Twice : public Way {
 public:
  Twice(int64_t n, int64_t D)
      : far_rows_(std::max<int64_t>(0, n - kWindow)),
        near_{MakePlan("rope", D, n), n, D},
        far_{near_.plan, far_rows_, D},
        out_(far_rows_ * D),
        lse_(far_rows_),
        d_q_(far_rows_ * D),
        d_k_(far_rows_ * D),
        d_v_(far_rows_ * D) {
    near_.plan.bands.front().selector = {.low = 0, .high = kWindow};
    far_.plan.bands.front().query = position::Constant(kWindow);
    far_.plan.bands.front().key = position::Constant(0);
  }

  void Forward(Head& head) override {
    attention::TrainForward(near_.Input(head, 0),
                            {head.out.data(), head.lse.data()}, Threads(),
                            near_.scratch);
    attention::TrainForward(far_.Input(head, kWindow),
                            {out_.data(), lse_.data()}, Threads(),
                            far_.scratch);
    const int64_t D = head.D;
    ForRows(far_rows_, 256, [&](int64_t first, int64_t last) {
      for (int64_t t = first; t < last; ++t) {
        float* out = head.out.data() + (t + kWindow) * D;
        const float* far = out_.data() + t * D;
        const double lse = head.lse[t + kWindow];
        const double merged = lse + std::log1p(std::exp(lse_[t] - lse));
        const auto a = static_cast<float>(std::exp(lse - merged));
        const auto b = static_cast<float>(std::exp(lse_[t] - merged));
        for (int64_t d = 0; d < D; ++d) out[d] = a * out[d] + b * far[d];
        head.lse[t + kWindow] = static_cast<float>(merged);
      }
    });
  }

  void Backward(Head& head) override {
    const int64_t at = kWindow * head.D;
    attention::TrainBackward(near_.Input(head, 0),
                             {.out = head.out.data(),
                              .lse = head.lse.data(),
                              .d_out = head.d_out.data(),
                              .d_q = head.d_q.data(),
                              .d_k = head.d_k.data(),
                              .d_v = head.d_v.data()},
                             Threads(), near_.scratch);
    attention::TrainBackward(far_.Input(head, kWindow),
                             {.out = head.out.data() + at,
                              .lse = head.lse.data() + kWindow,
                              .d_out = head.d_out.data() + at,
                              .d_q = d_q_.data(),
                              .d_k = d_k_.data(),
                              .d_v = d_v_.data()},
                             Threads(), far_.scratch);
    const int64_t D = head.D;
    ForRows(far_rows_, 256, [&](int64_t first, int64_t last) {
      const int64_t from = first * D;
      const int64_t size = (last - first) * D;
      kernels::Add(d_q_.data() + from, size, head.d_q.data() + at + from);
      kernels::Add(d_k_.data() + from, size, head.d_k.data() + from);
      kernels::Add(d_v_.data() + from, size, head.d_v.data() + from);
    });
  }

 private:
  int64_t far_rows_;
  Pass near_;
  Pass far_;
  Floats out_, lse_, d_q_, d_k_, d_v_;
};

// Full matrices. All work except the products is one pass over the rows,
// without masked pairs, so this way is no slower than a common implementation
// of it.
class Classic : public Way {
 public:
  Classic(int64_t n, int64_t D)
      : plan_(MakePlan("rerope:window=" + std::to_string(kWindow), D, n)) {
    tables_.Begin(0, n);
    for (Side* side : {&near_, &far_}) {
      const position::Band& band = plan_.bands[side == &near_ ? 0 : 1];
      side->query = tables_.Get(band.query, plan_.tables[0]);
      side->key = tables_.Get(band.key, plan_.tables[0]);
      for (Floats* rows : {&side->q, &side->k, &side->d_q, &side->d_k}) {
        *rows = Floats(n * D);
      }
    }
  }

  void Forward(Head& head) override {
    const int64_t n = head.n;
    Reserve(n);
    for (Side* side : {&near_, &far_}) {
      Turn(head, side->query, head.q, 1 / std::sqrt(float(head.D)), side->q);
      Turn(head, side->key, head.k, 1, side->k);
    }
    const auto to_base_2 = static_cast<float>(std::numbers::log2e);
    Scores(head, near_.q, near_.k, *weights_, to_base_2);
    Scores(head, far_.q, far_.k, *second_, to_base_2);
    ForRows(n, 16, [&](int64_t first, int64_t last) {
      for (int64_t t = first; t < last; ++t) {
        float* row = weights_->data() + t * n;
        const int64_t far = std::clamp<int64_t>(t + 1 - kWindow, 0, n);
        std::copy_n(second_->data() + t * n, far, row);
        float most = -std::numeric_limits<float>::infinity();
        double sum = 0;
        float unused = 0;
        kernels::OnlineSoftmax({.scores = row,
                                .running_max = &most,
                                .running_sum = &sum,
                                .output = &unused,
                                .rows = 1,
                                .columns = t + 1});
        const auto factor = static_cast<float>(1 / sum);
        for (int64_t j = 0; j <= t; ++j) row[j] *= factor;
        std::fill(row + t + 1, row + n, 0.0f);
      }
    });
    Product(head, *weights_, false, head.v, head.out);
  }

  void Backward(Head& head) override {
    const int64_t n = head.n;
    Scores(head, head.d_out, head.v, *second_);
    Product(head, *weights_, true, head.d_out, head.d_v);
    ForRows(n, 16, [&](int64_t first, int64_t last) {
      for (int64_t t = first; t < last; ++t) {
        const float* weights = weights_->data() + t * n;
        float* near = second_->data() + t * n;
        float* far = third_->data() + t * n;
        const float delta =
            kernels::Dot(DType::kF32, head.out.data() + t * head.D,
                         head.d_out.data() + t * head.D, head.D);
        const int64_t edge = std::clamp<int64_t>(t + 1 - kWindow, 0, n);
        for (int64_t j = 0; j < edge; ++j) {
          far[j] = weights[j] * (near[j] - delta);
        }
        std::fill(far + edge, far + n, 0.0f);
        for (int64_t j = edge; j <= t; ++j) {
          near[j] = weights[j] * (near[j] - delta);
        }
        std::fill(near, near + edge, 0.0f);
        std::fill(near + t + 1, near + n, 0.0f);
      }
    });
    for (Side* side : {&near_, &far_}) {
      const Floats& d_scores = side == &near_ ? *second_ : *third_;
      Product(head, d_scores, false, side->k, side->d_q);
      Product(head, d_scores, true, side->q, side->d_k);
      const bool more = side == &far_;
      TurnBack(head, side->query, side->d_q, 1 / std::sqrt(float(head.D)), more,
               head.d_q);
      TurnBack(head, side->key, side->d_k, 1, more, head.d_k);
    }
  }

 private:
  struct Side {
    attention::RotationRows query, key;
    Floats q, k, d_q, d_k;
  };

  // All lengths share the matrices, of which there are at most three.
  void Reserve(int64_t n) {
    static Floats matrices[3];
    for (Floats& matrix : matrices) matrix.EnsureSize(n * n);
    weights_ = &matrices[0];
    second_ = &matrices[1];
    third_ = &matrices[2];
  }

  static void Turn(const Head& head, const attention::RotationRows& angle,
                   const Floats& x, float scale, Floats& y) {
    Rotate(head, angle, x, scale, false, false, y);
  }
  static void TurnBack(const Head& head, const attention::RotationRows& angle,
                       const Floats& x, float scale, bool accumulate,
                       Floats& y) {
    Rotate(head, angle, x, scale, true, accumulate, y);
  }
  static void Rotate(const Head& head, const attention::RotationRows& angle,
                     const Floats& x, float scale, bool back, bool accumulate,
                     Floats& y) {
    const int64_t D = head.D;
    ForRows(head.n, 256, [&](int64_t first, int64_t last) {
      const std::vector<float> scales(static_cast<size_t>(last - first), scale);
      kernels::RotateRows({.x = x.data() + first * D,
                           .y = y.data() + first * D,
                           .rows = last - first,
                           .D = D,
                           .x_stride = D,
                           .y_stride = D,
                           .pairs = angle.pairs,
                           .cos = angle.cos + first * angle.stride,
                           .sin = angle.sin + first * angle.stride,
                           .angle_stride = angle.stride,
                           .scale = scales.data(),
                           .back = back,
                           .accumulate = accumulate});
    });
  }

  // c [n, n] = a b^T.
  static void Scores(const Head& head, const Floats& a, const Floats& b,
                     Floats& c, float alpha = 1) {
    Sgemm({.a = a.data(),
           .b = b.data(),
           .c = c.data(),
           .rows = head.n,
           .columns = head.n,
           .depth = head.D,
           .a_stride = head.D,
           .b_stride = head.D,
           .c_stride = head.n,
           .turn_b = true,
           .alpha = alpha});
  }
  // c [n, D] = a b for a [n, n], transposed or not.
  static void Product(const Head& head, const Floats& a, bool turn,
                      const Floats& b, Floats& c) {
    Sgemm({.a = a.data(),
           .b = b.data(),
           .c = c.data(),
           .rows = head.n,
           .columns = head.D,
           .depth = head.n,
           .a_stride = head.n,
           .b_stride = head.D,
           .c_stride = head.D,
           .turn_a = turn});
  }

  position::Plan plan_;
  attention::RotationTables tables_;
  Side near_, far_;
  Floats* weights_ = nullptr;  // [n, n]
  Floats* second_ = nullptr;
  Floats* third_ = nullptr;
};

inline const char* const kWays[] = {"ours", "rope", "twice", "classic"};

inline std::unique_ptr<Way> MakeWay(const std::string& name, int64_t n,
                                    int64_t D) {
  if (name == "twice") return std::make_unique<Twice>(n, D);
  if (name == "classic") return std::make_unique<Classic>(n, D);
  return std::make_unique<Ours>(
      name == "rope" ? "rope" : "rerope:window=" + std::to_string(kWindow), n,
      D);
}

}  // namespace ropewalk::bench

#endif  // ROPEWALK_BENCH_REROPE_WAYS_H_
