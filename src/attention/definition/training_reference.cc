#include "attention/definition/training_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace ropewalk::attention {
namespace {

constexpr double kMasked = -std::numeric_limits<double>::infinity();

// The score of a pair is sum_d (q rotated by `distance` under `table`)_d k_d.
struct PairRule {
  double distance = 0;
  const position::FrequencyTable* table = nullptr;
};

class Reference {
 public:
  explicit Reference(const TrainingInputOf<double>& input)
      : input_(input), shape_(input.shape), plan_(*input.plan) {
    Validate(input);
    const TrainingMask& mask = input.mask;
    bool ahead = mask.prefix != nullptr;
    for (const Direction heading : mask.heads) {
      ahead = ahead || heading != Direction::kForward;
    }
    if (ahead) plan_.Mirror();  // throws if it is not defined
  }

  void Forward(const TrainingOutputOf<double>& output) const {
    std::vector<double> weights(static_cast<size_t>(shape_.S));
    ForEachRow([&](int64_t b, int64_t i, int64_t h) {
      double* out = output.out + OutAt(b, i, h);
      std::fill_n(out, shape_.Dv, 0.0);
      double& lse = output.lse[(b * shape_.H + h) * shape_.T + i];
      Scores(b, i, h, weights);
      lse = LogSum(weights);
      if (lse == kMasked) return;
      for (int64_t j = 0; j < shape_.S; ++j) {
        if (!RuleOf(b, i, j, h)) continue;
        const double weight = std::exp(weights[static_cast<size_t>(j)] - lse);
        const double* v = input_.v + ValueAt(b, j, h);
        for (int64_t d = 0; d < shape_.Dv; ++d) out[d] += weight * v[d];
      }
    });
  }

  void Backward(const TrainingGradientsOf<double>& to) const {
    Clear(to);
    std::vector<double> scores(static_cast<size_t>(shape_.S));
    std::vector<double> turned(static_cast<size_t>(shape_.D));
    ForEachRow([&](int64_t b, int64_t i, int64_t h) {
      const double* d_out = to.d_out + OutAt(b, i, h);
      const double lse = to.lse[(b * shape_.H + h) * shape_.T + i];
      if (lse == kMasked) return;
      Scores(b, i, h, scores);
      double delta = 0;
      for (int64_t d = 0; d < shape_.Dv; ++d) {
        delta += to.out[OutAt(b, i, h) + d] * d_out[d];
      }
      for (int64_t j = 0; j < shape_.S; ++j) {
        const std::optional<PairRule> rule = RuleOf(b, i, j, h);
        if (!rule) continue;
        const double weight = std::exp(scores[static_cast<size_t>(j)] - lse);
        const double* v = input_.v + ValueAt(b, j, h);
        double* d_v = to.d_v + ValueAt(b, j, h);
        double d_weight = 0;
        for (int64_t d = 0; d < shape_.Dv; ++d) {
          d_weight += d_out[d] * v[d];
          d_v[d] += weight * d_out[d];
        }
        const double d_score = weight * (d_weight - delta);
        const double* q = input_.q + QueryAt(b, i, h);
        const double* k = input_.k + KeyAt(b, j, h);
        double* d_q = to.d_q + QueryAt(b, i, h);
        double* d_k = to.d_k + KeyAt(b, j, h);
        const double scale = d_score * Scale(i) * HeadScale(h);
        Turn(*rule, 1, q, turned.data());
        for (int64_t d = 0; d < shape_.D; ++d) {
          const auto at = static_cast<size_t>(d);
          d_k[d] += scale * turned[at];
          if (to.d_head_scale != nullptr) {
            to.d_head_scale[h] += d_score * Scale(i) * turned[at] * k[d];
          }
        }
        Turn(*rule, -1, k, turned.data());
        for (int64_t d = 0; d < shape_.D; ++d) {
          d_q[d] += scale * turned[static_cast<size_t>(d)];
        }
      }
    });
  }

 private:
  template <typename Body>
  void ForEachRow(const Body& body) const {
    for (int64_t b = 0; b < shape_.B; ++b) {
      for (int64_t i = 0; i < shape_.T; ++i) {
        for (int64_t h = 0; h < shape_.H; ++h) body(b, i, h);
      }
    }
  }

  int64_t QueryAt(int64_t b, int64_t i, int64_t h) const {
    return (b * shape_.T + i) * input_.q_stride + h * shape_.D;
  }
  int64_t KeyAt(int64_t b, int64_t j, int64_t h) const {
    return (b * shape_.S + j) * input_.k_stride + h / shape_.Group() * shape_.D;
  }
  int64_t ValueAt(int64_t b, int64_t j, int64_t h) const {
    return (b * shape_.S + j) * input_.v_stride +
           h / shape_.Group() * shape_.Dv;
  }
  int64_t OutAt(int64_t b, int64_t i, int64_t h) const {
    return ((b * shape_.T + i) * shape_.H + h) * shape_.Dv;
  }
  double Scale(int64_t i) const {
    return plan_.scale(i) / std::sqrt(static_cast<double>(shape_.D));
  }
  double HeadScale(int64_t h) const {
    return input_.head_scale == nullptr ? 1 : input_.head_scale[h];
  }

  // Returns nullopt if the pair is masked.
  std::optional<PairRule> RuleOf(int64_t b, int64_t i, int64_t j,
                                 int64_t h) const {
    const TrainingMask& mask = input_.mask;
    if (mask.keys != nullptr && j >= mask.keys[b]) return std::nullopt;
    switch (mask.heads[mask.heads.size() == 1 ? 0 : static_cast<size_t>(h)]) {
      case Direction::kForward:
        if (j > i && (mask.prefix == nullptr || j >= mask.prefix[b])) {
          return std::nullopt;
        }
        break;
      case Direction::kBackward:
        if (j < i) return std::nullopt;
        break;
      case Direction::kBoth:
        break;
    }
    // r(i, j) = -r(j, i)
    const int64_t later = std::max(i, j);
    const int64_t earlier = std::min(i, j);
    const auto band = plan_.BandOf(later, earlier);
    if (!band) return std::nullopt;
    const double distance = *plan_.EffectiveDistance(later, earlier);
    return PairRule{j > i ? -distance : distance,
                    &plan_.tables[static_cast<size_t>(
                        plan_.bands[static_cast<size_t>(*band)].table)]};
  }

  // y = x rotated by sign * distance. Components that rotate are multiplied by
  // the magnitudes of query and key.
  void Turn(const PairRule& rule, double sign, const double* x,
            double* y) const {
    const std::vector<double>& theta = rule.table->frequencies;
    const auto pairs = static_cast<int64_t>(theta.size());
    const double magnitude = rule.table->magnitude * rule.table->magnitude;
    for (int64_t m = 0; m < pairs; ++m) {
      const double angle = sign * rule.distance * theta[static_cast<size_t>(m)];
      const double c = magnitude * std::cos(angle);
      const double s = magnitude * std::sin(angle);
      y[m] = x[m] * c - x[m + pairs] * s;
      y[m + pairs] = x[m] * s + x[m + pairs] * c;
    }
    for (int64_t d = 2 * pairs; d < shape_.D; ++d) y[d] = x[d];
  }

  void Scores(int64_t b, int64_t i, int64_t h,
              std::vector<double>& scores) const {
    std::vector<double> turned(static_cast<size_t>(shape_.D));
    for (int64_t j = 0; j < shape_.S; ++j) {
      double& score = scores[static_cast<size_t>(j)];
      score = kMasked;
      const std::optional<PairRule> rule = RuleOf(b, i, j, h);
      if (!rule) continue;
      Turn(*rule, 1, input_.q + QueryAt(b, i, h), turned.data());
      const double* k = input_.k + KeyAt(b, j, h);
      double sum = 0;
      for (int64_t d = 0; d < shape_.D; ++d) {
        sum += turned[static_cast<size_t>(d)] * k[d];
      }
      score = sum * Scale(i) * HeadScale(h);
    }
  }

  static double LogSum(const std::vector<double>& scores) {
    double largest = kMasked;
    for (const double score : scores) largest = std::fmax(largest, score);
    double sum = 0;
    for (const double score : scores) {
      if (score != kMasked) sum += std::exp(score - largest);
    }
    return sum == 0 ? kMasked : largest + std::log(sum);
  }

  void Clear(const TrainingGradientsOf<double>& to) const {
    for (int64_t b = 0; b < shape_.B; ++b) {
      for (int64_t i = 0; i < shape_.T; ++i) {
        std::fill_n(to.d_q + QueryAt(b, i, 0), shape_.H * shape_.D, 0.0);
      }
      for (int64_t j = 0; j < shape_.S; ++j) {
        std::fill_n(to.d_k + KeyAt(b, j, 0), shape_.G * shape_.D, 0.0);
        std::fill_n(to.d_v + ValueAt(b, j, 0), shape_.G * shape_.Dv, 0.0);
      }
    }
    if (to.d_head_scale != nullptr) {
      std::fill_n(to.d_head_scale, shape_.H, 0.0);
    }
  }

  const TrainingInputOf<double>& input_;
  const TrainingShape& shape_;
  const position::Plan& plan_;
};

}  // namespace

void ReferenceTrainForward(const TrainingInputOf<double>& input,
                           const TrainingOutputOf<double>& output) {
  Reference(input).Forward(output);
}

void ReferenceTrainBackward(const TrainingInputOf<double>& input,
                            const TrainingGradientsOf<double>& gradients) {
  Reference(input).Backward(gradients);
}

}  // namespace ropewalk::attention
