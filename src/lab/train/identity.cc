#include "lab/train/identity.h"

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::train {
namespace {

std::string Text(int64_t value) { return std::to_string(value); }
std::string Text(double value) { return FormatNumber(value); }
std::string Text(bool value) { return value ? "true" : "false"; }

}  // namespace

Identity ShapeOf(const nn::ModelConfig& m) {
  return {{"model.block", nn::ToString(m.block)},
          {"model.architecture", nn::ToString(m.architecture)},
          {"model.head", nn::ToString(m.head)},
          {"model.layers", Text(m.L)},
          {"model.width", Text(m.E)},
          {"model.vocabulary", Text(m.V)},
          {"model.heads", Text(m.H)},
          {"model.kv_heads", Text(m.G)},
          {"model.head_width", Text(m.D)},
          {"model.feed_width", Text(m.F)},
          {"model.key_norm", Text(m.key_norm)}};
}

Identity IdentityOf(const TrainConfig& c) {
  Identity identity = ShapeOf(c.model);
  const nn::ModelConfig& m = c.model;
  identity.insert(identity.end(),
                  {{"model.mask", nn::ToString(m.mask)},
                   {"model.causal_encoder", Text(m.causal_encoder)},
                   {"model.rotate_cross", Text(m.rotate_cross)},
                   {"model.length", Text(m.N)},
                   {"model.rope_base", Text(m.rope_base)},
                   {"model.position", m.position},
                   {"seed", std::to_string(c.seed)},
                   {"train.batch", Text(c.batch)},
                   {"train.precision", nn::ToString(m.precision)},
                   {"train.accumulation", Text(c.accumulation)},
                   {"data.task", ToString(c.data.task)},
                   {"data.heldout_fraction", Text(c.data.heldout_fraction)},
                   {"data.repeat_fraction", Text(c.data.repeat_fraction)},
                   {"data.zipf_exponent", Text(c.data.zipf_exponent)},
                   {"data.documents", c.data.documents},
                   {"data.join_lines", Text(c.data.join_lines)},
                   {"data.max_bytes", Text(c.data.max_bytes)},
                   {"optimizer.name", c.optimizer.name},
                   {"optimizer.embedding", c.optimizer.embedding}});
  return identity;
}

std::optional<std::string> FirstDifference(const Identity& was,
                                           const Identity& is) {
  ROPEWALK_CHECK(was.size() == is.size());
  for (size_t i = 0; i < was.size(); ++i) {
    if (was[i].second == is[i].second) continue;
    return is[i].first + " was " + Printable(was[i].second, 60) + " and is " +
           Printable(is[i].second, 60);
  }
  return std::nullopt;
}

}  // namespace ropewalk::lab::train
