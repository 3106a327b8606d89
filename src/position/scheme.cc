#include "position/scheme.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "position/definition.h"

namespace ropewalk::position {
namespace {

constexpr double kLargestLength = 1 << 30;  // tokens; far beyond any use

// A parsed value: its number, and its fraction in lowest terms where it was
// written as one.
struct ParsedValue {
  double number = 0;
  std::string fraction;
};

std::optional<ParsedValue> ParseValue(std::string_view text,
                                      const Parameter& parameter) {
  using Kind = Parameter::Kind;
  if (parameter.kind == Kind::kLength) {
    const std::optional<int64_t> length = ParseLength(text);
    if (!length) return std::nullopt;
    return ParsedValue{static_cast<double>(*length), ""};
  }
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto top = ParseInt(text.substr(0, slash));
    const auto bottom = ParseInt(text.substr(slash + 1));
    if (!top || !bottom || *bottom <= 0 || *top == INT64_MIN) {
      return std::nullopt;
    }
    const int64_t common = std::gcd(*top, *bottom);
    const int64_t p = *top / common;
    const int64_t q = *bottom / common;
    std::string fraction =
        q == 1 ? "" : std::to_string(p) + "/" + std::to_string(q);
    return ParsedValue{static_cast<double>(p) / static_cast<double>(q),
                       std::move(fraction)};
  }
  const std::optional<double> number = ParseNumber(text);
  if (!number) return std::nullopt;
  return ParsedValue{*number, ""};
}

// Empty when the key allows `value`, else what the key allows.
std::string Complaint(const Parameter& parameter, double value) {
  using Kind = Parameter::Kind;
  const bool whole = value == std::floor(value);
  switch (parameter.kind) {
    case Kind::kLength:
    case Kind::kCount:
      if (whole && value >= parameter.least && value <= kLargestLength) {
        return "";
      }
      return "must be an integer from " + FormatNumber(parameter.least) +
             " to " + FormatNumber(kLargestLength);
    case Kind::kPositive:
      if (value <= 0) return "must be above 0";
      // Beyond these limits positions or frequencies lose their precision in
      // float64.
      return value >= 1e-9 && value <= 1e9 ? "" : "must be from 1e-9 to 1e9";
    case Kind::kNumber:
      return value >= parameter.least
                 ? ""
                 : "must be at least " + FormatNumber(parameter.least);
    case Kind::kSwitch:
      return value == 0 || value == 1 ? "" : "must be 0 or 1";
  }
  return "";
}

void ParseParameters(std::string_view text, const Definition& definition,
                     Scheme& scheme) {
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    const size_t equals = item.find('=');
    RequireFor(scheme, equals != std::string_view::npos,
               "expected key=value, got '" + Printable(item, 40) + "'");
    const std::string_view key = item.substr(0, equals);
    const std::string_view value = item.substr(equals + 1);
    const auto known = std::find_if(
        definition.parameters.begin(), definition.parameters.end(),
        [&](const Parameter& parameter) { return parameter.key == key; });
    if (known == definition.parameters.end()) {
      std::string keys;
      for (const Parameter& parameter : definition.parameters) {
        keys +=
            std::string(keys.empty() ? "" : ", ") + std::string(parameter.key);
      }
      RequireFor(
          scheme, false,
          "no parameter '" + Printable(key, 40) + "'; " +
              (keys.empty() ? "it takes no parameters" : "it takes " + keys));
    }
    RequireFor(scheme, !scheme.Find(key), std::string(key) + " is given twice");
    const std::optional<ParsedValue> parsed = ParseValue(value, *known);
    RequireFor(scheme, parsed.has_value(),
               std::string(key) + " must be a " +
                   (known->kind == Parameter::Kind::kLength
                        ? "length in tokens such as 512 or 2k"
                        : "number such as 8, 0.5 or 1/16") +
                   ", got '" + Printable(value, 40) + "'");
    const std::string complaint = Complaint(*known, parsed->number);
    RequireFor(
        scheme, complaint.empty(),
        std::string(key) + " " + complaint + ", got " + Printable(value, 40));
    scheme.Set(key, parsed->number);
    if (!parsed->fraction.empty()) {
      scheme.spelled.emplace_back(key, parsed->fraction);
    }
    if (comma == std::string_view::npos) return;
    text = text.substr(comma + 1);
  }
}

void ParseSuffix(std::string_view suffix, Scheme& scheme) {
  RequireFor(scheme, scheme.logn == ScoreScale::Kind::kNone,
             "at most one log n scale is allowed, got a second: +" +
                 Printable(suffix, 40));
  if (suffix == "logn-clip") {
    scheme.logn = ScoreScale::Kind::kClip;
    return;
  }
  if (suffix == "logn-learned") {
    scheme.logn = ScoreScale::Kind::kLearned;
    return;
  }
  scheme.logn = ScoreScale::Kind::kLogN;
  if (suffix == "logn") return;
  constexpr std::string_view kBase = "logn:base=";
  RequireFor(scheme, suffix.starts_with(kBase),
             "unknown suffix '+" + Printable(suffix, 40) +
                 "'; known: +logn[:base=LEN], +logn-clip, +logn-learned");
  const auto base = ParseLength(suffix.substr(kBase.size()));
  RequireFor(scheme, base && *base >= 2 && *base <= kLargestLength,
             "the base of +logn must be a length of at least 2, got '" +
                 Printable(suffix.substr(kBase.size()), 40) + "'");
  scheme.logn_base = *base;
}

Scheme ParseStackFile(std::string_view spelling) {
  const std::string path(spelling.substr(1));
  Require(!path.empty(), "position scheme '@': expected a file, @FILE.toml");
  const auto fail = [&](const std::string& why) {
    throw std::invalid_argument("position stack '" + path + "': " + why);
  };
  Scheme stack{.name = std::string(spelling)};
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    // The parser quotes the file, line breaks and all.
    fail(Printable(error.description(), 200) + " (line " +
         std::to_string(error.source().begin.line) + ")");
  }
  const toml::array* layers = table["layers"].as_array();
  if (layers == nullptr || table.size() != 1) {
    fail("expected one key, layers = [\"SCHEME\", ...], one for each layer");
  }
  for (const toml::node& node : *layers) {
    const auto* text = node.as_string();
    if (text == nullptr) fail("layers must be strings");
    // Checked before parsing: a file that names itself would recurse forever.
    if (text->get().starts_with('@')) {
      fail("a layer must be a scheme, not another stack file, got '" +
           Printable(text->get(), 60) + "'");
    }
    stack.layers.push_back(ParseScheme(text->get()));
    if (stack.layers.back().all_layers) {
      fail(
          "a layer's scheme must not end in '@all', which is for whole "
          "models, got '" +
          Printable(text->get(), 60) + "'");
    }
  }
  if (stack.layers.empty()) fail("layers must have one scheme at least, got 0");
  return stack;
}

std::string LognSuffix(const Scheme& scheme) {
  switch (scheme.logn) {
    case ScoreScale::Kind::kNone:
      return "";
    case ScoreScale::Kind::kLogN:
      return scheme.logn_base == 512
                 ? "+logn"
                 : "+logn:base=" + std::to_string(scheme.logn_base);
    case ScoreScale::Kind::kClip:
      return "+logn-clip";
    case ScoreScale::Kind::kLearned:
      return "+logn-learned";
  }
  return "";
}

// "[window:size=16 x 4, nope+logn]": "x 4" stands for four equal neighbours.
std::string LayersToString(const std::vector<Scheme>& layers) {
  std::string out = "[";
  for (size_t i = 0; i < layers.size();) {
    const std::string one = ToString(layers[i]);
    size_t same = i + 1;
    while (same < layers.size() && ToString(layers[same]) == one) ++same;
    if (i > 0) out += ", ";
    out += one;
    if (same - i > 1) out += " x " + std::to_string(same - i);
    i = same;
  }
  return out + "]";
}

LayerPositions LayerOf(const ModelPositions& model, int64_t layer) {
  return model.layers.empty() ? LayerPositions{}
                              : model.layers[static_cast<size_t>(layer)];
}

bool HasGlobalLayer(const ModelPositions& model) {
  return model.layers.empty() ||
         std::any_of(model.layers.begin(), model.layers.end(),
                     [](const LayerPositions& own) { return own.IsGlobal(); });
}

// Whether a layer stays as the file has it under `scheme`. A scheme that is
// spelled for this layer alone (`by_layer`) always changes it.
bool StaysAsItIs(const LayerPositions& own, const Scheme& scheme,
                 bool by_layer) {
  return !own.IsGlobal() && !by_layer && !scheme.all_layers;
}

// The plan that the file gives a layer.
Plan OwnPlan(const ModelPositions& positions, const LayerPositions& own,
             int64_t length) {
  Plan plan = OneBand(OwnTable(positions, length));
  if (own.window > 0) {
    plan.bands.front().selector = {.low = 0, .high = own.window};
  }
  return plan;
}

}  // namespace

std::optional<double> Scheme::Find(std::string_view key) const {
  for (const auto& [name, value] : parameters) {
    if (name == key) return value;
  }
  return std::nullopt;
}

double Scheme::Get(std::string_view key) const {
  const std::optional<double> value = Find(key);
  ROPEWALK_CHECK(value.has_value());
  return *value;
}

int64_t Scheme::GetLength(std::string_view key) const {
  return static_cast<int64_t>(Get(key));
}

void Scheme::Set(std::string_view key, double value) {
  std::erase_if(spelled, [&](const auto& one) { return one.first == key; });
  for (auto& [name, old] : parameters) {
    if (name == key) {
      old = value;
      return;
    }
  }
  parameters.emplace_back(key, value);
}

Scheme ParseScheme(std::string_view spelling) {
  if (spelling.starts_with('@')) return ParseStackFile(spelling);
  constexpr std::string_view kAll = "@all";
  if (spelling.ends_with(kAll)) {
    Scheme scheme =
        ParseScheme(spelling.substr(0, spelling.size() - kAll.size()));
    Require(scheme.name != "auto" && !scheme.all_layers,
            "@all may stand once, at the end of a scheme other than auto, got "
            "'" +
                Printable(spelling, 60) + "'");
    scheme.all_layers = true;
    return scheme;
  }
  const size_t plus = spelling.find('+');
  std::string_view body = spelling.substr(0, plus);
  const size_t colon = body.find(':');
  Scheme scheme{.name = std::string(body.substr(0, colon))};
  if (scheme.name == "auto") {
    Require(plus == std::string_view::npos && colon == std::string_view::npos,
            "auto: takes no parameters and no suffix, got '" +
                Printable(spelling, 60) + "'");
    return scheme;
  }
  const Definition& definition = DefinitionOf(scheme.name);
  if (colon != std::string_view::npos) {
    ParseParameters(body.substr(colon + 1), definition, scheme);
  }
  std::string_view rest =
      plus == std::string_view::npos ? "" : spelling.substr(plus);
  while (!rest.empty()) {
    const size_t next = rest.find('+', 1);
    ParseSuffix(
        rest.substr(1, next == std::string_view::npos ? std::string_view::npos
                                                      : next - 1),
        scheme);
    rest = next == std::string_view::npos ? "" : rest.substr(next);
  }
  return scheme;
}

std::string ToString(const Scheme& scheme) {
  if (!scheme.layers.empty()) {
    return scheme.name.starts_with('@') ? scheme.name
                                        : LayersToString(scheme.layers);
  }
  std::string out = scheme.name;
  if (scheme.name == "auto") return out;
  char separator = ':';
  // In declared order, so that equal schemes print alike.
  for (const Parameter& parameter : DefinitionOf(scheme.name).parameters) {
    const std::optional<double> value = scheme.Find(parameter.key);
    if (!value) continue;
    std::string text = FormatNumber(*value);
    if (*value == std::floor(*value) && std::abs(*value) < 0x1p53) {
      text = std::to_string(static_cast<int64_t>(*value));
    }
    for (const auto& [key, fraction] : scheme.spelled) {
      if (key == parameter.key) text = fraction;
    }
    out += separator + std::string(parameter.key) + "=" + text;
    separator = ',';
  }
  return out + LognSuffix(scheme) + (scheme.all_layers ? "@all" : "");
}

Scheme Resolve(const Scheme& scheme, const ModelPositions& model,
               int64_t length) {
  Require(length > 0, "length must be above 0, got " + std::to_string(length));
  if (!scheme.layers.empty()) {
    Scheme stack{.name = ""};
    for (const Scheme& layer : scheme.layers) {
      stack.layers.push_back(Resolve(layer, model, length));
    }
    return stack;
  }
  if (scheme.name == "auto") {
    return Resolve(ParseScheme(AdvisedSpelling(model, length)), model, length);
  }
  const bool plain_rope =
      scheme.name == "rope" && scheme.logn == ScoreScale::Kind::kNone;
  if (plain_rope && !model.own_spelling.empty()) {
    // `rope` means the model's own scheme, and this file spells it out.
    ModelPositions bare = model;
    bare.own_spelling.clear();
    Scheme own{.name = ""};
    bare.trained_spelling.clear();
    for (const std::string& spelling : model.own_spelling) {
      own.layers.push_back(Resolve(ParseScheme(spelling), bare, length));
    }
    return own.layers.size() == 1 ? own.layers.front() : own;
  }
  const Definition& definition = DefinitionOf(scheme.name);
  Scheme resolved = scheme;
  RequireFor(
      scheme,
      scheme.logn != ScoreScale::Kind::kLearned || model.has_learned_logn,
      "+logn-learned needs a model trained with it (this file carries "
      "no blk.N.attn_logn.weight)");
  RequireFor(scheme,
             scheme.logn != ScoreScale::Kind::kClip || model.train_length > 1,
             "+logn-clip is undefined for a trained length of 1");
  RequireFor(scheme, !plain_rope || !scheme.all_layers,
             "it leaves every layer as the model file has it, so @all has "
             "nothing to change");
  RequireFor(
      scheme, model.only_own_scheme.empty() || plain_rope,
      "this model takes only its own scheme, rope: " + model.only_own_scheme);
  RequireFor(scheme, plain_rope || scheme.all_layers || HasGlobalLayer(model),
             "it would change no layer of this model: each layer has a window "
             "of its own or no positions, and reads any length under rope; "
             "add @all to change those layers too");
  definition.resolve(resolved, model, length);
  return resolved;
}

Stack BuildStack(const Scheme& resolved, const ModelPositions& model,
                 int64_t length, int64_t layers) {
  const auto count = static_cast<int64_t>(resolved.layers.size());
  Require(count == 0 || count == layers,
          "position stack: " + std::to_string(count) +
              " layers given, but the model has " + std::to_string(layers));
  Require(model.layers.empty() ||
              static_cast<int64_t>(model.layers.size()) == layers,
          "position stack: the model describes " +
              std::to_string(model.layers.size()) + " layers, got " +
              std::to_string(layers));
  Stack stack;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const Scheme& scheme =
        count == 0 ? resolved : resolved.layers[static_cast<size_t>(layer)];
    const ModelPositions positions = PositionsOfLayer(model, layer);
    const LayerPositions own = LayerOf(model, layer);
    const bool stays = StaysAsItIs(own, scheme, count > 0);
    if (scheme.name == "rope" || stays) {
      stack.push_back(OwnPlan(positions, own, length));
      if (!stays) {
        stack.back().scale = ScaleOf(scheme, model);
      }
      continue;
    }
    const Definition& definition = DefinitionOf(scheme.name);
    Plan plan = definition.build(scheme, positions, length, {layer, layers});
    if (!definition.owns_scale) plan.scale = ScaleOf(scheme, model);
    stack.push_back(std::move(plan));
  }
  return stack;
}

std::string ChangedLayers(const Scheme& resolved, const ModelPositions& model) {
  const bool changes_nothing =
      resolved.name == "rope" && resolved.logn == ScoreScale::Kind::kNone;
  if (!resolved.layers.empty() || changes_nothing || resolved.all_layers) {
    return "";
  }
  return ChangedLayers(model);
}

std::string ChangedLayers(const ModelPositions& model) {
  int64_t kept = 0;
  std::set<int64_t> windows;
  bool unrotated = false;
  for (const LayerPositions& own : model.layers) {
    if (own.IsGlobal()) continue;
    ++kept;
    if (own.window > 0) windows.insert(own.window);
    if (own.window == 0) unrotated = true;
  }
  if (kept == 0) return "";
  const auto layers = static_cast<int64_t>(model.layers.size());
  std::string text = "on " + std::to_string(layers - kept) + " of " +
                     std::to_string(layers) + " layers, " +
                     std::to_string(kept) +
                     (kept == 1 ? " keeps its " : " keep their ");
  for (const int64_t window : windows) {
    text += (window == *windows.begin() ? "" : ", ") +
            std::string("window of ") + std::to_string(window) + " keys";
  }
  if (unrotated) {
    text += std::string(windows.empty() ? "" : " or ") + "lack of positions";
  }
  return text;
}

}  // namespace ropewalk::position
