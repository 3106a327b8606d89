// Schemes that treat each frequency by its wavelength: YaRN, Llama 3,
// LongRoPE and CoPE.

#include <string>

#include "base/text.h"
#include "position/definition.h"
#include "position/frequencies.h"

namespace ropewalk::position {
namespace {

using Kind = Parameter::Kind;

void ResolveYarn(Scheme& scheme, const ModelPositions& model, int64_t length) {
  DefaultFactor(scheme, model, length);
  Default(scheme, "fast", 32);
  Default(scheme, "slow", 1);
  RequireFor(
      scheme, scheme.Get("fast") > scheme.Get("slow"),
      "fast must be above slow, got fast=" + FormatNumber(scheme.Get("fast")) +
          ",slow=" + FormatNumber(scheme.Get("slow")));
}

Plan BuildYarn(const Scheme& resolved, const ModelPositions& model,
               int64_t length, Layer) {
  FrequencyTable table = OwnTable(model, length);
  if (table.frequencies.empty()) return OneBand(std::move(table));
  const double factor = resolved.Get("factor");
  table.frequencies = YarnFrequencies(
      table.frequencies, {.factor = factor,
                          .fast = resolved.Get("fast"),
                          .slow = resolved.Get("slow"),
                          .base = model.base,
                          .original_length = model.OriginalLength()});
  table.magnitude *= YarnMagnitude(factor);
  return OneBand(std::move(table));
}

void ResolveLlama3(Scheme& scheme, const ModelPositions& model, int64_t) {
  const bool from_file = !model.frequency_divisors.empty();
  RequireFor(scheme, from_file || scheme.Find("factor").has_value(),
             "this model's file has no llama3 factors (rope_freqs.weight); "
             "give factor=, as in llama3:factor=8");
  if (!scheme.Find("factor")) {
    // Then llama3 means the divisors in the file, which `rope` applies too.
    RequireFor(scheme, !scheme.Find("low") && !scheme.Find("high"),
               "low= and high= may be given only together with factor=");
    return;
  }
  Default(scheme, "low", 1);
  Default(scheme, "high", 4);
  RequireFor(
      scheme, scheme.Get("high") > scheme.Get("low"),
      "high must be above low, got low=" + FormatNumber(scheme.Get("low")) +
          ",high=" + FormatNumber(scheme.Get("high")));
}

Plan BuildLlama3(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, Layer) {
  FrequencyTable table = OwnTable(model, length);
  if (resolved.Find("factor")) {
    table.frequencies = Llama3Frequencies(
        table.frequencies, {.factor = resolved.Get("factor"),
                            .low = resolved.Get("low"),
                            .high = resolved.Get("high"),
                            .original_length = model.OriginalLength()});
  }
  return OneBand(std::move(table));
}

void ResolveLongRope(Scheme& scheme, const ModelPositions& model, int64_t) {
  RequireFor(scheme, model.scaling == ModelPositions::Scaling::kLongRope,
             "this model's file has no longrope factors "
             "(rope_factors_short.weight and rope_factors_long.weight)");
}

void ResolveCope(Scheme& scheme, const ModelPositions& model, int64_t length) {
  const FrequencyTable table = OwnTable(model, length);
  const auto pairs = static_cast<int64_t>(table.frequencies.size());
  Default(scheme, "clip",
          static_cast<double>(
              CopeDefaultClip(table.frequencies, model.train_length)));
  RequireFor(scheme, scheme.GetLength("clip") <= pairs,
             "clip must be at most the " + std::to_string(pairs) +
                 " rotary pairs of this model, got " +
                 std::to_string(scheme.GetLength("clip")));
}

Plan BuildCope(const Scheme& resolved, const ModelPositions& model,
               int64_t length, Layer) {
  FrequencyTable table = OwnTable(model, length);
  table.frequencies =
      CopeFrequencies(table.frequencies, resolved.GetLength("clip"));
  return OneBand(std::move(table));
}

}  // namespace

extern const Definition kYarn = {
    .name = "yarn",
    .summary = "slow pairs divided by factor, fast pairs kept, sharper scores",
    .source = "arXiv 2309.00071",
    .parameters = {{"factor", Kind::kPositive,
                    "length wanted over trained length; default L / N"},
                   {"fast", Kind::kPositive,
                    "pairs of more turns in N_orig are kept; default 32"},
                   {"slow", Kind::kPositive,
                    "pairs of fewer turns are divided by factor; default 1"}},
    .resolve = ResolveYarn,
    .build = BuildYarn,
};

extern const Definition kLlama3 = {
    .name = "llama3",
    .summary = "Llama 3's blend by wavelength, from the file or from factor=",
    .source = "Llama 3.1 model card",
    .parameters = {{"factor", Kind::kPositive,
                    "divisor of the slow pairs; default the file's divisors"},
                   {"low", Kind::kPositive, "low_freq_factor; default 1"},
                   {"high", Kind::kPositive, "high_freq_factor; default 4"}},
    .resolve = ResolveLlama3,
    .build = BuildLlama3,
};

extern const Definition kLongRope = {
    .name = "longrope",
    .summary = "one factor a pair from the file, short or long by length",
    .source = "arXiv 2402.13753",
    .resolve = ResolveLongRope,
    .build = BuildOwn,
};

extern const Definition kCope = {
    .name = "cope",
    .summary = "clipped RoPE: the slowest pairs are tapered to no rotation",
    .source = "arXiv 2602.05258",
    .parameters = {{"clip", Kind::kCount,
                    "pairs tapered; default those with a period beyond N", 0}},
    .resolve = ResolveCope,
    .build = BuildCope,
};

}  // namespace ropewalk::position
