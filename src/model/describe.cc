#include "model/describe.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace ropewalk::model {
namespace {

std::string NameOf(kernels::Activation activation) {
  switch (activation) {
    case kernels::Activation::kSilu:
      return "silu";
    case kernels::Activation::kGelu:
      return "gelu";
    case kernels::Activation::kGeluTanh:
      return "gelu-tanh";
    case kernels::Activation::kRelu:
      return "relu";
    case kernels::Activation::kQuickGelu:
      return "quick-gelu";
  }
  return "";
}

// Adds `part` to `text`, after a comma if there is text already.
void Append(std::string& text, const std::string& part) {
  if (!part.empty()) text += (text.empty() ? "" : ", ") + part;
}

// Writes 1000000 and not 1e+06, because papers state bases that way.
std::string BaseText(double base) {
  return base == std::floor(base) && base < 1e15
             ? std::to_string(static_cast<int64_t>(base))
             : FormatNumber(base);
}

std::string PositionsText(const position::ModelPositions& positions,
                          int64_t layer) {
  const position::ModelPositions own =
      position::PositionsOfLayer(positions, layer);
  const int64_t window =
      positions.layers.empty()
          ? 0
          : positions.layers[static_cast<size_t>(layer)].window;
  std::string text = window > 0
                         ? "window of " + std::to_string(window) + " keys"
                         : "the whole text";
  if (!own.rotates) return text + ", no positions";
  Append(text, "rope base " + BaseText(own.base));
  if (own.rotary_width < own.head_width) {
    text += " over " + std::to_string(own.rotary_width) + " of " +
            std::to_string(own.head_width) + " components";
  }
  using Scaling = position::ModelPositions::Scaling;
  switch (own.scaling) {
    case Scaling::kNone:
      if (!own.frequency_divisors.empty()) Append(text, "llama3 factors");
      break;
    case Scaling::kLinear:
      Append(text, "linear scaling by " + FormatNumber(own.scaling_factor));
      break;
    case Scaling::kYarn:
      Append(text, "yarn by " + FormatNumber(own.scaling_factor));
      break;
    case Scaling::kLongRope:
      Append(text, "longrope factors");
      break;
  }
  return text;
}

std::string AttentionText(const Attention& a) {
  const attention::HeadShape& heads = a.heads;
  std::string text = std::to_string(heads.H) + " query heads on " +
                     std::to_string(heads.G) + " of width " +
                     std::to_string(heads.D);
  if (heads.ValueWidth() != heads.D) {
    Append(text, "values of width " + std::to_string(heads.ValueWidth()));
  }
  if (a.latent) {
    Append(text, "through a latent vector of " +
                     std::to_string(a.latent->width()) + " components");
  }
  if (a.sinks.size() > 0) Append(text, "a learned sink a head");
  if (a.query_norm.exists()) {
    Append(text, "normed queries and keys");
  } else if (a.key_norm.exists()) {
    Append(text, "normed keys");
  }
  if (a.gate.exists()) Append(text, "gated");
  if (a.query.bias.size() > 0) Append(text, "biases");
  if (heads.score_factor > 0) {
    Append(text, "scores times " + FormatNumber(heads.score_factor));
  }
  if (heads.softcap > 0) {
    Append(text, "scores capped at " + FormatNumber(heads.softcap));
  }
  if (a.clamp > 0) Append(text, "clamped to " + FormatNumber(a.clamp));
  return text;
}

std::string FeedText(const FeedForward& feed) {
  return NameOf(feed.activation) +
         (feed.gate.exists() ? ", gated, " : ", plain, ") +
         std::to_string(feed.up.weights.rows) + " wide";
}

std::string FeedForwardText(const Layer& layer) {
  if (layer.experts) {
    const Experts& e = *layer.experts;
    std::string text = std::to_string(e.used) + " of " +
                       std::to_string(e.experts.size()) + " experts, each " +
                       FeedText(e.experts.front());
    if (e.shared) text += ", and one for all, " + FeedText(*e.shared);
    return text;
  }
  return layer.feed ? FeedText(*layer.feed) : "none";
}

std::string NormsText(const Layer& layer) {
  const bool before = layer.attention_norm.exists();
  const bool after = layer.attention_after.exists();
  const bool last = layer.residual_norm.exists();
  const Norm& any = before  ? layer.attention_norm
                    : after ? layer.attention_after
                            : layer.residual_norm;
  std::string text = any.kind == NormKind::kLayer ? "layer norm" : "rms norm";
  if (before) text += " before";
  if (after) text += before ? " and after" : " after";
  if (last) text += " last";
  if (layer.parallel) text += ", in parallel";
  if (layer.residual_scale != 1) {
    text += ", added times " +
            FormatNumber(static_cast<double>(layer.residual_scale));
  }
  return text;
}

}  // namespace

std::string LayerGroup::Layers() const {
  std::string text;
  for (size_t i = 0; i < layers.size();) {
    size_t last = i;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) {
      ++last;
    }
    Append(text, std::to_string(layers[i]) +
                     (last > i ? "-" + std::to_string(layers[last]) : ""));
    i = last + 1;
  }
  return text;
}

std::vector<LayerGroup> DescribeLayers(const Model& model) {
  std::vector<LayerGroup> groups;
  for (int64_t l = 0; l < model.config().L; ++l) {
    const Layer& layer = model.layers()[static_cast<size_t>(l)];
    LayerGroup one{.layers = {l},
                   .positions = PositionsText(model.config().positions, l),
                   .attention = AttentionText(layer.attention),
                   .feed_forward = FeedForwardText(layer),
                   .norms = NormsText(layer)};
    const auto like = std::find_if(
        groups.begin(), groups.end(), [&](const LayerGroup& group) {
          return group.positions == one.positions &&
                 group.attention == one.attention &&
                 group.feed_forward == one.feed_forward &&
                 group.norms == one.norms;
        });
    if (like == groups.end()) {
      groups.push_back(std::move(one));
    } else {
      like->layers.push_back(l);
    }
  }
  return groups;
}

}  // namespace ropewalk::model
