// Schemes that slow down the whole frequency table: position interpolation and
// the NTK family of posts 9675 and 9706.

#include <string>

#include "base/text.h"
#include "position/definition.h"
#include "position/frequencies.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

constexpr std::string_view kFactorMeaning =
    "length wanted over trained length; default L / N";

// One band over the model's own table, its frequencies replaced by `change`.
template <typename Change>
Plan Changed(const ModelPositions& model, int64_t length,
             const Change& change) {
  FrequencyTable table = OwnTable(model, length);
  if (!table.frequencies.empty()) table.frequencies = change(table.frequencies);
  return OneBand(std::move(table));
}

Plan BuildPi(const Scheme& resolved, const ModelPositions& model,
             int64_t length, Layer) {
  return Changed(model, length, [&](const Frequencies& theta) {
    return PiFrequencies(theta, resolved.Get("factor"));
  });
}

Plan BuildNtkOld(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer) {
  return Changed(model, length, [&](const Frequencies& theta) {
    return NtkOldFrequencies(theta, resolved.Get("factor"));
  });
}

Plan BuildNtkFixed(const Scheme& resolved, const ModelPositions& model,
                   int64_t length, Layer) {
  return Changed(model, length, [&](const Frequencies& theta) {
    return NtkFixedFrequencies(theta, resolved.Get("factor"));
  });
}

void ResolveMixed(Scheme& scheme, const ModelPositions& model, int64_t length) {
  DefaultFactor(scheme, model, length);
  Default(scheme, "b", 0.625);
}

Plan BuildNtkMixed(const Scheme& resolved, const ModelPositions& model,
                   int64_t length, Layer) {
  return Changed(model, length, [&](const Frequencies& theta) {
    return NtkMixedFrequencies(theta, resolved.Get("factor"),
                               resolved.Get("b"));
  });
}

void ResolveDynamic(Scheme& scheme, const ModelPositions& model, int64_t) {
  Default(scheme, "factor", 1);
  RequireFor(scheme, !model.rotates || model.rotary_width > 2,
             "undefined for a rotary width of 2 (its exponent is d / (d - 2))");
}

Plan BuildDynamic(const Scheme& resolved, const ModelPositions& model,
                  int64_t length, Layer) {
  return Changed(model, length, [&](const Frequencies& theta) {
    return DynamicNtkFrequencies(theta, resolved.Get("factor"), length,
                                 model.train_length);
  });
}

}  // namespace

extern const Definition kPi = {
    .name = "pi",
    .summary = "position interpolation: every angle divided by factor",
    .source = "arXiv 2306.15595",
    .parameters = {{"factor", Kind::kPositive, kFactorMeaning}},
    .resolve = DefaultFactor,
    .build = BuildPi,
};

extern const Definition kNtkOld = {
    .name = "ntk-old",
    .summary = "NTK-aware base change: theta_m / factor^(2m/d)",
    .source = "post 9675",
    .parameters = {{"factor", Kind::kPositive, kFactorMeaning}},
    .resolve = DefaultFactor,
    .build = BuildNtkOld,
};

extern const Definition kNtkFixed = {
    .name = "ntk-fixed",
    .summary = "NTK whose lowest frequency is divided by exactly factor",
    .source = "post 9706",
    .parameters = {{"factor", Kind::kPositive, kFactorMeaning}},
    .resolve = DefaultFactor,
    .build = BuildNtkFixed,
};

extern const Definition kNtkMixed = {
    .name = "ntk-mixed",
    .summary = "mixed-base NTK: slows high frequencies more than ntk-fixed",
    .source = "post 9706",
    .parameters = {{"factor", Kind::kPositive, kFactorMeaning},
                   {"b", Kind::kNumber,
                    "exponent: 1 is ntk-fixed, 0 is pi; default 0.625", 0}},
    .resolve = ResolveMixed,
    .build = BuildNtkMixed,
};

extern const Definition kDynamicNtk = {
    .name = "dynamic-ntk",
    .summary = "NTK whose base grows with the length the context is opened for",
    .source = "Hugging Face transformers",
    .parameters = {{"factor", Kind::kPositive,
                    "the s of base (s L/N - (s - 1))^(d/(d-2)); default 1"}},
    .resolve = ResolveDynamic,
    .build = BuildDynamic,
};

}  // namespace ropewalk::position
