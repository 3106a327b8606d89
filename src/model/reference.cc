#include "model/reference.h"

#include <algorithm>
#include <cmath>

#include "attention/definition/reference.h"
#include "kernels/blocks.h"
#include "kernels/interleaved.h"
#include "kernels/reference/quantized.h"
#include "kernels/reference/reference.h"

namespace ropewalk::model {
namespace {

using Doubles = std::vector<double>;

Doubles Row(const kernels::Matrix& matrix, int64_t r) {
  std::vector<float> row(static_cast<size_t>(matrix.columns));
  kernels::UnpackRow(matrix.type, matrix.Row(r), matrix.columns, row.data());
  return {row.begin(), row.end()};
}

// y[t, r] = sum_c x[t, c] W[r, c]
Doubles Multiply(const Doubles& x, const kernels::Matrix& matrix) {
  const auto columns = static_cast<size_t>(matrix.columns);
  const auto rows = static_cast<size_t>(matrix.rows);
  const size_t T = x.size() / columns;
  Doubles y(T * rows);
  for (size_t r = 0; r < rows; ++r) {
    const Doubles row = Row(matrix, static_cast<int64_t>(r));
    for (size_t t = 0; t < T; ++t) {
      for (size_t c = 0; c < columns; ++c) {
        y[t * rows + r] += x[t * columns + c] * row[c];
      }
    }
  }
  return y;
}

Doubles Vector(const AlignedBuffer<float>& x) {
  return {x.data(), x.data() + x.size()};
}

// The values of x's codes in 8 bits.
Doubles Rounded(const Doubles& x) {
  const std::vector<float> numbers(x.begin(), x.end());
  const kernels::reference::QuantizedRow row = kernels::reference::Quantize(
      numbers.data(), static_cast<int64_t>(numbers.size()));
  Doubles y(x.size());
  for (size_t at = 0; at < y.size(); ++at) {
    y[at] = row.Value(at);
  }
  return y;
}

Doubles Project(const Doubles& x, const Linear& linear, Activations read) {
  const bool rounds = read == Activations::k8Bits &&
                      kernels::CanInterleave(linear.weights.type);
  Doubles y = Multiply(rounds ? Rounded(x) : x, linear.weights);
  const Doubles bias = Vector(linear.bias);
  if (bias.empty()) return y;
  for (size_t at = 0; at < y.size(); ++at) y[at] += bias[at % bias.size()];
  return y;
}

// The norm of rows of norm.width; row r uses set r mod norm.sets.
Doubles Normalise(const Doubles& x, const Norm& norm) {
  if (!norm.exists()) return x;
  const Doubles weight = Vector(norm.weight);
  const Doubles bias = Vector(norm.bias);
  const auto width = static_cast<size_t>(norm.width);
  const auto set_of = [&](const Doubles& numbers, size_t row) {
    return numbers.empty()
               ? nullptr
               : numbers.data() + row % static_cast<size_t>(norm.sets) * width;
  };
  Doubles y(x.size());
  for (size_t row = 0; row < x.size() / width; ++row) {
    const double* from = x.data() + row * width;
    double* to = y.data() + row * width;
    if (norm.kind == NormKind::kRms) {
      kernels::reference::RmsNorm(from, set_of(weight, row), norm.epsilon,
                                  norm.width, to);
    } else {
      kernels::reference::LayerNorm(from, set_of(weight, row),
                                    set_of(bias, row), norm.epsilon, norm.width,
                                    to);
    }
  }
  return y;
}

// x times y, element by element; a shorter y repeats.
Doubles Times(const Doubles& x, const Doubles& y) {
  Doubles product(x.size());
  for (size_t at = 0; at < x.size(); ++at) {
    product[at] = x[at] * y[at % y.size()];
  }
  return product;
}

Doubles Activate(kernels::Activation kind, const Doubles& x) {
  Doubles y(x.size());
  kernels::reference::Activate(kind, x.data(), static_cast<int64_t>(x.size()),
                               y.data());
  return y;
}

Doubles Clamp(Doubles x, double limit) {
  if (limit <= 0) return x;
  for (double& value : x) value = std::clamp(value, -limit, limit);
  return x;
}

void AddTo(Doubles& x, const Doubles& y, double factor = 1) {
  for (size_t at = 0; at < x.size(); ++at) x[at] += factor * y[at];
}

// Makes the keys and values of each head from the latent vector.
Doubles AttendLatent(const Attention& w, const position::Plan& plan,
                     const Doubles& x, Activations read) {
  const Latent& latent = *w.latent;
  const auto H = static_cast<size_t>(w.heads.H);
  const auto C = static_cast<size_t>(latent.width());
  const size_t d = static_cast<size_t>(w.heads.D) - C;
  const auto n = static_cast<size_t>(latent.unrotated());
  const auto v = static_cast<size_t>(latent.value());
  const Doubles queries =
      Project(w.query_down.exists()
                  ? Normalise(Project(x, w.query_down, read), w.query_down_norm)
                  : x,
              w.query, read);
  const Doubles down = Project(x, latent.down, read);
  const size_t T = down.size() / (d + C);
  Doubles vectors;
  for (size_t t = 0; t < T; ++t) {
    const auto row = down.begin() + static_cast<int64_t>(t * (d + C));
    vectors.insert(vectors.end(), row + static_cast<int64_t>(d),
                   row + static_cast<int64_t>(d + C));
  }
  vectors = Normalise(vectors, latent.norm);
  Doubles keys(T * H * (d + n));
  Doubles values(T * H * v);
  for (size_t h = 0; h < H; ++h) {
    const Doubles of_head = Project(vectors, latent.value_up[h], read);
    const kernels::Matrix& transposed = latent.key_up[h].weights;
    for (size_t t = 0; t < T; ++t) {
      double* key = keys.data() + (t * H + h) * (d + n);
      std::copy_n(down.begin() + static_cast<int64_t>(t * (d + C)), d, key);
      std::copy_n(of_head.begin() + static_cast<int64_t>(t * v), v,
                  values.begin() + static_cast<int64_t>((t * H + h) * v));
    }
    for (size_t c = 0; c < C; ++c) {
      const Doubles row = Row(transposed, static_cast<int64_t>(c));
      for (size_t t = 0; t < T; ++t) {
        double* key = keys.data() + (t * H + h) * (d + n) + d;
        for (size_t i = 0; i < n; ++i) key[i] += vectors[t * C + c] * row[i];
      }
    }
  }
  attention::HeadShape shape = w.heads;
  shape.score_factor = w.heads.ScoreFactor();
  shape.G = shape.H;
  shape.D = static_cast<int64_t>(d + n);
  shape.value_width = static_cast<int64_t>(v);
  return Project(
      attention::ReferenceAttention(plan, shape, queries, keys, values, {}),
      w.output, read);
}

Doubles Attend(const Attention& w, const position::Plan& plan, const Doubles& x,
               Activations read) {
  if (w.latent) return AttendLatent(w, plan, x, read);
  Doubles queries = Clamp(Project(x, w.query, read), w.clamp);
  Doubles keys =
      w.key.exists() ? Clamp(Project(x, w.key, read), w.clamp) : queries;
  Doubles values = Clamp(Project(x, w.value, read), w.clamp);
  if (w.activation) {
    queries = Times(Activate(*w.activation, queries), Vector(w.query_gain));
    keys = Times(Activate(*w.activation, keys), Vector(w.key_gain));
    values = Activate(*w.activation, values);
  }
  const bool learned = plan.scale.kind == position::ScoreScale::Kind::kLearned;
  Doubles attended = attention::ReferenceAttention(
      plan, w.heads, Normalise(queries, w.query_norm),
      Normalise(keys, w.key_norm), values,
      learned ? Vector(w.logn_scale) : Doubles(), Vector(w.sinks));
  if (w.gate.exists()) {
    attended =
        Times(Activate(kernels::Activation::kSilu, Project(x, w.gate, read)),
              attended);
  }
  return Project(attended, w.output, read);
}

Doubles Feed(const FeedForward& w, const Doubles& x, Activations read) {
  Doubles up = Project(x, w.up, read);
  Doubles gate = w.gate.exists() ? Project(x, w.gate, read) : Doubles();
  if (w.limit > 0) {
    const double limit = w.limit;
    for (double& value : gate) value = std::min(value, limit);
    for (double& value : up) {
      value = std::clamp(value, -limit, limit) + static_cast<double>(w.shift);
    }
  }
  return Project(w.gate.exists() ? Times(Activate(w.activation, gate), up)
                                 : Activate(w.activation, up),
                 w.down, read);
}

// The weights [experts] of one token's experts, 0 for those not chosen, by the
// rule of layer.h taken word for word.
Doubles ExpertWeights(const Experts& w, const double* logits) {
  const size_t count = w.experts.size();
  Doubles shares(count);
  if (w.sigmoid) {
    for (size_t e = 0; e < count; ++e)
      shares[e] = 1 / (1 + std::exp(-logits[e]));
  } else {
    kernels::reference::Softmax(logits, static_cast<int64_t>(count),
                                shares.data());
  }
  Doubles choice = shares;
  if (w.selection_bias.size() > 0) AddTo(choice, Vector(w.selection_bias));
  // The worth of each expert's group; experts beyond the best groups are out.
  const size_t size = count / static_cast<size_t>(w.groups);
  Doubles worth;
  for (size_t first = 0; first < count; first += size) {
    Doubles group(choice.begin() + static_cast<int64_t>(first),
                  choice.begin() + static_cast<int64_t>(first + size));
    std::sort(group.rbegin(), group.rend());
    worth.push_back(group[0] + (w.sigmoid && size > 1 ? group[1] : 0));
  }
  Doubles sorted_worth = worth;
  std::sort(sorted_worth.rbegin(), sorted_worth.rend());
  const double least_worth =
      sorted_worth[static_cast<size_t>(w.groups_used) - 1];
  Doubles in_groups;
  for (size_t e = 0; e < count; ++e) {
    if (worth[e / size] >= least_worth) in_groups.push_back(choice[e]);
  }
  std::sort(in_groups.rbegin(), in_groups.rend());
  const double least = in_groups[static_cast<size_t>(w.used) - 1];
  Doubles weights(count);
  double sum = 0;
  for (size_t e = 0; e < count; ++e) {
    if (worth[e / size] < least_worth || choice[e] < least) continue;
    weights[e] = shares[e];
    sum += shares[e];
  }
  for (double& weight : weights) {
    weight *= w.scale / (w.renormalise ? sum : 1.0);
  }
  return weights;
}

// Computes every expert for every token, weighted by the token's share.
Doubles Feed(const Experts& w, const Doubles& x, Activations read) {
  const size_t count = w.experts.size();
  const Doubles logits = Project(x, w.router, Activations::kExact);
  const size_t T = logits.size() / count;
  const size_t E = x.size() / T;
  Doubles shares;
  for (size_t t = 0; t < T; ++t) {
    const Doubles weights = ExpertWeights(w, logits.data() + t * count);
    shares.insert(shares.end(), weights.begin(), weights.end());
  }
  Doubles y(x.size());
  const auto add = [&](const Doubles& brought, const auto& share_of) {
    for (size_t t = 0; t < T; ++t) {
      for (size_t c = 0; c < E; ++c) {
        y[t * E + c] += share_of(t) * brought[t * E + c];
      }
    }
  };
  for (size_t e = 0; e < count; ++e) {
    add(Feed(w.experts[e], x, read),
        [&](size_t t) { return shares[t * count + e]; });
  }
  if (w.shared) {
    const Doubles gate =
        w.shared_router.rows > 0 ? Multiply(x, w.shared_router) : Doubles();
    add(Feed(*w.shared, x, read), [&](size_t t) {
      return gate.empty() ? 1 : 1 / (1 + std::exp(-gate[t]));
    });
  }
  return y;
}

// x <- the layer's output
void Apply(const Layer& w, const position::Plan& plan, Activations read,
           Doubles& x) {
  const Doubles in = Normalise(x, w.attention_norm);
  const Doubles attended =
      Normalise(Attend(w.attention, plan, in, read), w.attention_after);
  const auto feed = [&](const Doubles& normed) {
    return Normalise(w.experts ? Feed(*w.experts, normed, read)
                               : Feed(*w.feed, normed, read),
                     w.feed_after);
  };
  const bool feeds = w.feed || w.experts;
  if (w.parallel && feeds) {
    const Doubles fed =
        feed(w.feed_norm.exists() ? Normalise(x, w.feed_norm) : in);
    AddTo(x, attended, w.residual_scale);
    AddTo(x, fed, w.residual_scale);
  } else {
    AddTo(x, attended, w.residual_scale);
    if (feeds) AddTo(x, feed(Normalise(x, w.feed_norm)), w.residual_scale);
  }
  x = Normalise(x, w.residual_norm);
}

}  // namespace

std::vector<double> ReferenceLogits(const Model& model,
                                    const position::Stack& stack,
                                    std::span<const Token> tokens,
                                    Activations activations) {
  Doubles x;
  for (const Token token : tokens) {
    for (const double value : Row(model.embedding(), token)) {
      x.push_back(model.embedding_scale() * value);
    }
  }
  for (size_t l = 0; l < stack.size(); ++l) {
    Apply(model.layers()[l], stack[l], activations, x);
  }
  Doubles logits =
      Project(Normalise(x, model.output_norm()), model.output(), activations);
  for (double& logit : logits) logit *= model.logit_scale();
  if (model.final_softcap() > 0) {
    kernels::reference::SoftCap(model.final_softcap(),
                                static_cast<int64_t>(logits.size()),
                                logits.data());
  }
  return logits;
}

}  // namespace ropewalk::model
