#include <ropewalk/scheme.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "base/text.h"
#include "serve/api_error.h"
#include "serve/reply.h"
#include "serve/request_parts.h"

namespace ropewalk::serve {
namespace {

constexpr double kHuge = std::numeric_limits<double>::max();
constexpr int64_t kMostCount = int64_t{1} << 53;
constexpr int64_t kMostBreakers = 64;
constexpr int64_t kMostMemories = 64;
constexpr size_t kMostBiases = 4096;

template <typename T>
void Set(T& value, const std::optional<T>& given) {
  if (given) value = *given;
}

// A share in (0, 1]. Clients write 0 for "the likeliest alone".
void SetShare(double& value, const std::optional<double>& given) {
  if (given) value = std::max(*given, std::numeric_limits<double>::min());
}

// Fields that are absent keep the defaults of SampleOptions, as they do in
// llama-server: someone who sets temperature alone still has top-k 40 and min-p
// 0.05. To sample from the whole distribution, as OpenAI's servers do unless
// told otherwise, set top_k 0, top_p 1 and min_p 0.
void ReadSampling(Fields& fields, SampleOptions& sampling) {
  Set(sampling.temperature, fields.Number("temperature", 0, 2));
  SetShare(sampling.top_p, fields.Number("top_p", 0, 1));
  // -1 is how some clients write "all".
  if (const auto top_k = fields.Integer("top_k", -1, kMostCount)) {
    sampling.top_k = std::max<int64_t>(*top_k, 0);
  }
  Set(sampling.min_p, fields.Number("min_p", 0, 1));
  SetShare(sampling.typical_p, fields.Number("typical_p", 0, 1));
}

void ReadPenalties(Fields& fields, SampleOptions& sampling) {
  const auto frequency = fields.Number("frequency_penalty", -2, 2);
  const auto presence = fields.Number("presence_penalty", -2, 2);
  Set(sampling.frequency_penalty, frequency);
  Set(sampling.presence_penalty, presence);
  for (const char* name : {"repetition_penalty", "repeat_penalty"}) {
    if (const auto factor = fields.Number(name, 0, 100)) {
      if (*factor == 0) FailField(name, "a number above 0", *factor);
      sampling.repetition_penalty = *factor;
    }
  }
  // OpenAI's two count over the whole text.
  if (frequency || presence) sampling.penalty_last = -1;
  Set(sampling.penalty_last, fields.Integer("repeat_last_n", -1, kMostCount));
}

void ReadDry(Fields& fields, SampleOptions& sampling) {
  Set(sampling.dry_multiplier, fields.Number("dry_multiplier", 0, 100));
  Set(sampling.dry_base, fields.Number("dry_base", 1, 100));
  Set(sampling.dry_allowed_length,
      fields.Integer("dry_allowed_length", 1, kMostCount));
  Set(sampling.dry_last, fields.Integer("dry_penalty_last_n", -1, kMostCount));
  if (fields.Has("dry_sequence_breakers")) {
    sampling.dry_breakers =
        fields.Strings("dry_sequence_breakers", kMostBreakers);
  }
}

void ReadBias(Fields& fields, SampleOptions& sampling) {
  const Json* biases = fields.Object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kMostBiases) {
    FailField("logit_bias",
              "an object of at most " + std::to_string(kMostBiases), *biases);
  }
  for (const auto& [id, bias] : biases->get_ref<const Json::object_t&>()) {
    const std::string place = "logit_bias." + Printable(id, 40);
    const auto token = ParseInt(id);
    if (!token || *token < 0 || *token > std::numeric_limits<Token>::max()) {
      throw ApiError(400,
                     "'logit_bias' must name tokens by their ids, got '" +
                         Printable(id, 40) + "'",
                     "logit_bias");
    }
    if (!bias.is_number() || !(std::abs(bias.get<double>()) <= 100)) {
      FailField(place, "a number from -100 to 100", bias);
    }
    sampling.logit_bias[static_cast<Token>(*token)] = bias.get<double>();
  }
}

// -1 asks for another seed each time, as in llama.cpp.
void ReadSeed(Fields& fields, Request& request) {
  const Json* seed = fields.Take("seed");
  if (seed == nullptr) return;
  if (seed->is_number_unsigned()) {
    request.generate.sampling.seed = seed->get<uint64_t>();
  } else if (const auto number = AsInteger(*seed)) {
    if (*number == -1) return;
    request.generate.sampling.seed = static_cast<uint64_t>(*number);
  } else {
    FailField("seed", "an integer of 64 bits", *seed);
  }
  request.seed_given = true;
}

void ReadStops(Fields& fields, const RequestLimits& limits, Request& request) {
  const Json* stop = fields.Take("stop");
  if (stop == nullptr) return;
  const Json list = stop->is_string() ? Json::array({*stop}) : *stop;
  const std::string rule = "a string or an array of at most " +
                           std::to_string(limits.stops) +
                           " strings, none empty";
  if (!list.is_array() || list.size() > static_cast<size_t>(limits.stops)) {
    FailField("stop", rule, *stop);
  }
  for (const Json& text : list) {
    if (!text.is_string() || text.get_ref<const std::string&>().empty()) {
      FailField("stop", rule, text);
    }
    request.generate.stops.push_back(text.get<std::string>());
  }
}

void SetSchema(const Json& schema, const std::string& where, Request& request) {
  GenerateOptions& generate = request.generate;
  if (!generate.grammar.empty() || !generate.json_schema.empty()) {
    throw ApiError(400,
                   "'" + where +
                       "' and another grammar or schema exclude each "
                       "other: an answer has one",
                   where);
  }
  generate.json_schema = Dump(schema);
}

void ReadGrammar(Fields& fields, Request& request) {
  if (const std::string* grammar = fields.String("grammar")) {
    request.generate.grammar = *grammar;
  }
  if (const Json* schema = fields.Object("json_schema")) {
    SetSchema(*schema, "json_schema", request);
  }
}

void ReadStream(Fields& fields, Request& request) {
  request.stream = fields.Bool("stream").value_or(false);
  request.return_progress = fields.Bool("return_progress").value_or(false);
  const Json* options = fields.Object("stream_options");
  if (options == nullptr) return;
  if (!request.stream) {
    throw ApiError(400, "'stream_options' needs 'stream' to be true",
                   "stream_options");
  }
  Fields inside(*options, "stream_options", fields.ignored());
  request.include_usage = inside.Bool("include_usage").value_or(false);
  inside.IgnoreRest();
}

// A spelling may name a file, "@layers.toml". A request may not: nothing leads
// from a client to our files.
void ReadPosition(Fields& fields, Request& request) {
  const std::string* position = fields.String("position");
  if (position == nullptr) return;
  if (position->starts_with('@')) {
    FailField("position", "a scheme by name; a request cannot name a file",
              *position);
  }
  try {
    Scheme::Parse(*position);
  } catch (const std::invalid_argument& error) {
    throw ApiError(400, error.what(), "position");
  }
  request.position = *position;
}

void ReadContext(Fields& fields, Request& request) {
  const Json* context = fields.Take("context");
  if (context == nullptr) return;
  std::optional<int64_t> tokens = AsInteger(*context);
  if (context->is_string()) {
    tokens = ParseLength(context->get_ref<const std::string&>());
  }
  if (!tokens || *tokens < 1 || *tokens > kMostCount) {
    FailField("context", "a count of tokens such as 32768 or \"32k\"",
              *context);
  }
  request.context = tokens;
}

void ReadOurs(Fields& fields, Request& request) {
  ReadPosition(fields, request);
  ReadContext(fields, request);
  request.memories = fields.Strings("memories", kMostMemories);
  if (const std::string* law = fields.String("memory_law")) {
    request.memory_law = *law;
  }
}

}  // namespace

void ReadShared(Fields& fields, const RequestLimits& limits, Request& request) {
  if (const std::string* model = fields.String("model")) {
    request.model = *model;
  }
  SampleOptions& sampling = request.generate.sampling;
  ReadSampling(fields, sampling);
  ReadPenalties(fields, sampling);
  ReadDry(fields, sampling);
  ReadBias(fields, sampling);
  ReadSeed(fields, request);
  ReadStops(fields, limits, request);
  ReadGrammar(fields, request);
  ReadStream(fields, request);
  ReadOurs(fields, request);
  request.generate.ignore_end_of_text =
      fields.Bool("ignore_eos").value_or(false);
  // Nothing is stored, which is what false asks for.
  if (fields.Bool("store").value_or(false)) fields.ignored().Add("store");
}

void ReadMaxTokens(Fields& fields, std::initializer_list<const char*> names,
                   Request& request) {
  bool given = false;
  for (const char* name : names) {
    const auto most = fields.Integer(name, -1, kMostCount);
    if (!most) continue;
    if (*most == 0) {
      FailField(name, "at least 1, or -1 for no limit", *most);
    }
    if (given) {
      fields.ignored().Add(name);
    } else if (*most > 0) {
      request.max_tokens = most;
    }
    given = true;
  }
}

void ReadCount(Fields& fields, const RequestLimits& limits, int64_t prompts,
               Request& request) {
  request.n = fields.Integer("n", 1, limits.answers).value_or(1);
  if (request.n * prompts > limits.answers) {
    throw ApiError(400,
                   "a request may have " + std::to_string(limits.answers) +
                       " answers; n = " + std::to_string(request.n) + " for " +
                       std::to_string(prompts) + " prompts asks for " +
                       std::to_string(request.n * prompts),
                   request.n > 1 ? "n" : "prompt");
  }
}

void ReadFormat(const Json& format, const std::string& where, bool nested,
                IgnoredFields& ignored, Request& request) {
  Fields fields(format, where, ignored);
  const std::string& type = fields.RequiredString("type");
  if (type == "text") {
    fields.IgnoreRest();
    return;
  }
  if (type != "json_object" && type != "json_schema") {
    FailField(fields.Place("type"), "text, json_object or json_schema", type);
  }
  const Json* schema = nullptr;
  std::string place = fields.Place("schema");
  if (type == "json_object" || !nested) {
    schema = fields.Object("schema");
  } else if (const Json* inner = fields.Object("json_schema")) {
    Fields inside(*inner, fields.Place("json_schema"), ignored);
    place = inside.Place("schema");
    schema = inside.Object("schema");
    inside.Accept({"name", "description", "strict"});
    inside.IgnoreRest();
  }
  if (schema == nullptr && type == "json_schema") {
    throw ApiError(400, "'" + place + "' is missing: a JSON schema", place);
  }
  fields.Accept({"name", "description", "strict"});
  fields.IgnoreRest();
  SetSchema(schema == nullptr ? Json({{"type", "object"}}) : *schema, where,
            request);
}

}  // namespace ropewalk::serve
