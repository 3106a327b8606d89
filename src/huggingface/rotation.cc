#include "huggingface/rotation.h"

#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "position/frequencies.h"
#include "position/model_positions.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using formats::Metadata;

// The magnitude of yarn with a factor of its own for the logarithm.
double Magnitude(double factor, double m = 1) {
  return 1 + m * (position::YarnMagnitude(factor) - 1);
}

class Rotation {
 public:
  Rotation(ConfigReader& config, const RotationShape& shape,
           const std::string& architecture, Metadata& metadata)
      : config_(config),
        shape_(shape),
        prefix_(architecture + ".rope."),
        metadata_(metadata) {}

  RotationTensors Read() {
    double base = shape_.base;
    std::optional<ConfigReader> scaling;
    if (auto rope = config_.FindObject("rope_parameters")) {
      if (auto full = rope->FindObject("full_attention")) {
        ReadLocal(rope->FindObject("sliding_attention"));
        rope->Ignore({"rope_theta", "rope_type"});
        rope->RequireAllTaken();
        rope = std::move(full);
      }
      base = rope->FindFloat("rope_theta").value_or(base);
      scaling = std::move(rope);
      // The same values may stand in both spellings.
      config_.Ignore({"rope_theta", "rope_scaling", "rotary_emb_base"});
    } else {
      base = config_.FindFloat("rope_theta")
                 .value_or(config_.FindFloat("rotary_emb_base").value_or(base));
      scaling = config_.FindObject("rope_scaling");
    }
    // Stated without scaling too.
    config_.Ignore({"original_max_position_embeddings"});
    if (const auto local = config_.FindFloat("rope_local_base_freq")) {
      metadata_.SetFloat(prefix_ + "freq_base_swa", *local);
    }
    metadata_.SetFloat(prefix_ + "freq_base", base);
    ReadWidth(scaling);
    if (scaling) ReadScaling(*scaling, base);
    return std::move(tensors_);
  }

 private:
  // The rotation of layers with a window: a base of their own and no scaling.
  void ReadLocal(std::optional<ConfigReader> local) {
    if (!local) return;
    const std::string type = local->FindString("rope_type").value_or("default");
    if (type != "default") {
      local->Fail("rope_type",
                  "must be default in layers with a window, got '" +
                      Printable(type, 40) + "'");
    }
    if (const auto base = local->FindFloat("rope_theta")) {
      metadata_.SetFloat(prefix_ + "freq_base_swa", *base);
    }
    local->Ignore({"partial_rotary_factor"});
    local->RequireAllTaken();
  }

  void ReadWidth(std::optional<ConfigReader>& rope) {
    double share = 1;
    for (const char* name :
         {"partial_rotary_factor", "rotary_pct", "rope_pct"}) {
      share = config_.FindFloat(name).value_or(share);
    }
    if (rope) share = rope->FindFloat("partial_rotary_factor").value_or(share);
    if (!(share > 0 && share <= 1)) {
      config_.Fail("partial_rotary_factor",
                   "must be above 0 and at most 1, got " + FormatNumber(share));
    }
    width_ = static_cast<int64_t>(static_cast<double>(shape_.width) * share);
    metadata_.SetInt(prefix_ + "dimension_count", width_);
  }

  void ReadScaling(ConfigReader& rope, double base) {
    std::string type = rope.FindString("rope_type").value_or("");
    const std::string old = rope.FindString("type").value_or("default");
    if (type.empty()) type = old;
    const auto original = rope.FindInt("original_max_position_embeddings");
    original_ =
        original.value_or(config_.FindInt("original_max_position_embeddings")
                              .value_or(shape_.context));
    if (original_ < 1) {
      config_.Fail("original_max_position_embeddings",
                   "must be above 0, got " + std::to_string(original_));
    }
    if (type == "linear") {
      metadata_.SetString(prefix_ + "scaling.type", "linear");
      SetFactor(rope);
    } else if (type == "yarn") {
      ReadYarn(rope);
    } else if (type == "llama3") {
      ReadLlama3(rope, base);
    } else if (type == "longrope" || type == "su") {
      ReadLongRope(rope);
    } else if (type != "default") {
      rope.Fail("rope_type", "is '" + Printable(type, 40) +
                                 "', which is not known; known: default, "
                                 "linear, yarn, llama3, longrope");
    }
    rope.RequireAllTaken();
  }

  double SetFactor(ConfigReader& rope) {
    const double factor = rope.FindFloat("factor").value_or(0);
    if (!(factor > 0)) {
      rope.Fail("factor", "must be above 0, got " + FormatNumber(factor));
    }
    metadata_.SetFloat(prefix_ + "scaling.factor", factor);
    return factor;
  }

  // GGUF's attn_factor multiplies the magnitude that the factor of yarn gives.
  void ReadYarn(ConfigReader& rope) {
    metadata_.SetString(prefix_ + "scaling.type", "yarn");
    const double factor = SetFactor(rope);
    metadata_.SetInt(prefix_ + "scaling.original_context_length", original_);
    metadata_.SetFloat(prefix_ + "scaling.yarn_beta_fast",
                       rope.FindFloat("beta_fast").value_or(32));
    metadata_.SetFloat(prefix_ + "scaling.yarn_beta_slow",
                       rope.FindFloat("beta_slow").value_or(1));
    if (!rope.FindBool("truncate").value_or(true)) {
      metadata_.SetBool("ropewalk.yarn_truncate", false);
    }
    const auto m = rope.FindFloat("mscale");
    const auto m_all = rope.FindFloat("mscale_all_dim");
    double magnitude = Magnitude(factor);
    if (m && m_all && *m != 0 && *m_all != 0) {
      magnitude = Magnitude(factor, *m) / Magnitude(factor, *m_all);
    }
    magnitude = rope.FindFloat("attention_factor").value_or(magnitude);
    if (m_all && *m_all != 0) {
      // Only DeepSeek's attention scales its scores by it.
      metadata_.SetFloat(prefix_ + "scaling.yarn_log_multiplier", 0.1 * *m_all);
    }
    const double times = magnitude / Magnitude(factor);
    if (std::abs(times - 1) > 1e-6) {
      metadata_.SetFloat(prefix_ + "scaling.attn_factor", times);
    }
  }

  void ReadLlama3(ConfigReader& rope, double base) {
    const double factor = rope.FindFloat("factor").value_or(8);
    const double low = rope.FindFloat("low_freq_factor").value_or(1);
    const double high = rope.FindFloat("high_freq_factor").value_or(4);
    if (!(factor > 0 && low > 0 && high > low)) {
      rope.Fail("factor",
                "and low_freq_factor must be above 0, and high_freq_factor "
                "above low_freq_factor");
    }
    const std::vector<double> own =
        position::GeometricFrequencies(width_, base);
    const position::Frequencies scaled =
        position::Llama3Frequencies(own, {.factor = factor,
                                          .low = low,
                                          .high = high,
                                          .original_length = original_});
    for (size_t pair = 0; pair < own.size(); ++pair) {
      tensors_.divisors.push_back(static_cast<float>(own[pair] / scaled[pair]));
    }
  }

  void ReadLongRope(ConfigReader& rope) {
    const auto factors = [&](const char* name) {
      const std::vector<double> values = rope.FindFloats(name);
      if (static_cast<int64_t>(values.size()) != width_ / 2) {
        rope.Fail(name, "must have one number for each of the " +
                            std::to_string(width_ / 2) + " pairs, has " +
                            std::to_string(values.size()));
      }
      return std::vector<float>(values.begin(), values.end());
    };
    tensors_.short_factors = factors("short_factor");
    tensors_.long_factors = factors("long_factor");
    const double ratio =
        static_cast<double>(shape_.context) / static_cast<double>(original_);
    const double scale = rope.FindFloat("factor").value_or(ratio);
    const double rule =
        scale <= 1
            ? 1
            : std::sqrt(1 + std::log(scale) /
                                std::log(static_cast<double>(original_)));
    metadata_.SetString(prefix_ + "scaling.type", "longrope");
    metadata_.SetInt(prefix_ + "scaling.original_context_length", original_);
    metadata_.SetFloat(prefix_ + "scaling.attn_factor",
                       rope.FindFloat("attention_factor").value_or(rule));
    for (const char* magnitude : {"short_mscale", "long_mscale"}) {
      if (rope.FindFloat(magnitude)) {
        rope.Fail(magnitude, "is not supported");
      }
    }
  }

  ConfigReader& config_;
  RotationShape shape_;
  std::string prefix_;
  Metadata& metadata_;
  int64_t width_ = 0;     // components that rotate
  int64_t original_ = 0;  // the length before scaling
  RotationTensors tensors_;
};

}  // namespace

RotationTensors ReadRotation(ConfigReader& config, const RotationShape& shape,
                             const std::string& architecture,
                             Metadata& metadata) {
  return Rotation(config, shape, architecture, metadata).Read();
}

}  // namespace ropewalk::huggingface
