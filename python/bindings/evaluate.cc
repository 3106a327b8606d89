// What evaluate/ and engine/ know of a model and the public headers do not
// have: losses token by token, measurements, conversations with tools.

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/model.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/engine_access.h"
#include "base/dtype.h"
#include "base/error.h"
#include "common.h"
#include "engine/chat_template.h"
#include "evaluate/documents.h"
#include "evaluate/measure.h"
#include "evaluate/model_scorer.h"
#include "evaluate/needle.h"
#include "formats/json_file.h"
#include "formats/text_file.h"
#include "position/scheme.h"

namespace ropewalk::python {
namespace {

using evaluate::Document;
using evaluate::TokenScore;

// Takes turns with the sessions of the model, a text each.
class TurnScorer : public evaluate::ModelScorer {
 public:
  TurnScorer(engine::Engine& engine, DType kv_type)
      : ModelScorer(engine, kv_type), engine_(engine) {}

  std::vector<TokenScore> Score(const position::Stack& stack,
                                std::span<const Token> ids,
                                int64_t first_target,
                                const evaluate::OnTokens& on_tokens) override {
    const std::lock_guard pass(engine_.pass_mutex());
    return ModelScorer::Score(stack, ids, first_target, on_tokens);
  }

 private:
  engine::Engine& engine_;
};

DType StoredType(const std::string& kv_type) {
  return *ParseDType(NameOf(ParseKvType(kv_type)));
}

// The losses and the hits of `scores`, as two arrays over the same memory.
nb::tuple ArraysOf(std::vector<TokenScore> scores) {
  auto kept = std::make_unique<std::vector<TokenScore>>(std::move(scores));
  const std::vector<TokenScore>& all = *kept;
  nb::capsule owner(kept.get(), [](void* pointer) noexcept {
    delete static_cast<std::vector<TokenScore>*>(pointer);
  });
  (void)kept.release();
  static_assert(sizeof(TokenScore) % sizeof(double) == 0);
  const size_t shape = all.size();
  const int64_t losses = sizeof(TokenScore) / sizeof(double);
  const int64_t hits = sizeof(TokenScore);
  return nb::make_tuple(nb::ndarray<nb::numpy, const double, nb::ndim<1>>(
                            &all.data()->loss, 1, &shape, owner, &losses),
                        nb::ndarray<nb::numpy, const bool, nb::ndim<1>>(
                            &all.data()->correct, 1, &shape, owner, &hits));
}

nb::tuple Score(const Model& model, const std::vector<int64_t>& ids,
                int64_t first, const std::string& spelling, int64_t context,
                const std::string& kv_type) {
  std::vector<TokenScore> scores;
  {
    const nb::gil_scoped_release release;
    const std::vector<Token> tokens = TokensOf(ids);
    const auto size = static_cast<int64_t>(tokens.size());
    Require(size >= 2, "a text must have at least 2 tokens to be scored, got " +
                           std::to_string(size));
    Require(first >= 1 && first < size, "first must be from 1 to " +
                                            std::to_string(size - 1) +
                                            ", got " + std::to_string(first));
    Require(context == 0 || context >= size - 1,
            "a text of " + std::to_string(size) +
                " tokens does not fit a context of " + std::to_string(context));
    const int64_t V = model.vocabulary_size();
    for (const Token token : tokens) {
      Require(token < V, "token id must be from 0 to " + std::to_string(V - 1) +
                             ", got " + std::to_string(token));
    }
    const auto engine = EngineAccess::Of(model);
    const int64_t length = context == 0 ? size - 1 : context;
    const position::Stack stack = position::BuildStack(
        position::Resolve(position::ParseScheme(spelling), engine->positions(),
                          length),
        engine->positions(), length, engine->model().config().L);
    scores = TurnScorer(*engine, StoredType(kv_type))
                 .Score(stack, tokens, first,
                        [](int64_t, const Workload&) { CheckSignals(); });
  }
  return ArraysOf(std::move(scores));
}

nb::dict RowOf(const evaluate::MeasureRow& row) {
  nb::dict out;
  out["position"] = row.position;
  out["resolved"] = row.resolved;
  out["set"] = row.set;
  out["length"] = row.length;
  out["tokens"] = row.tokens;
  out["loss"] = row.loss;
  out["loss_stderr"] = row.loss_stderr;
  out["accuracy"] = row.accuracy;
  out["accuracy_stderr"] = row.accuracy_stderr;
  out["seconds"] = row.seconds;
  out["known_to_fail"] =
      row.known_to_fail ? nb::cast(*row.known_to_fail) : nb::none();
  return out;
}

// Ids are documents as they are; texts are cut as `ropewalk measure` cuts them.
nb::object Measure(const Model& model, const std::vector<std::string>& texts,
                   const std::vector<std::vector<int64_t>>& ids,
                   const std::vector<std::string>& spellings,
                   const std::vector<int64_t>& lengths, int64_t score_last,
                   int64_t documents, bool repeat, const std::string& kv_type,
                   const nb::object& on_row) {
  const nb::handle callback = on_row;
  evaluate::MeasureResult result;
  {
    const nb::gil_scoped_release release;
    const auto engine = EngineAccess::Of(model);
    evaluate::MeasureOptions options{.spellings = spellings,
                                     .lengths = lengths,
                                     .score_last = score_last,
                                     .repeat = repeat};
    for (const std::string& spelling : spellings) {
      options.schemes.push_back(position::ParseScheme(spelling));
    }
    Require(!texts.empty() || !ids.empty(), "measure needs a text");
    Require(!lengths.empty() && !spellings.empty(),
            "measure needs a length and a position scheme");
    Require(documents >= static_cast<int64_t>(texts.size()),
            "documents must be at least the number of texts, " +
                std::to_string(texts.size()) + ", got " +
                std::to_string(documents));
    int64_t size = repeat ? engine->positions().train_length : 0;
    for (const int64_t length : lengths) size = std::max(size, length + 1);
    std::vector<Document> all;
    for (const auto& document : ids) all.push_back(TokensOf(document));
    std::vector<Document> encoded;
    for (const std::string& text : texts) {
      encoded.push_back(evaluate::EncodeText(engine->tokenizer(), text));
      CheckSignals();
    }
    for (Document& piece :
         evaluate::CutTexts(std::move(encoded), size, documents)) {
      all.push_back(std::move(piece));
    }
    TurnScorer scorer(*engine, StoredType(kv_type));
    evaluate::Measurement measurement(scorer, std::move(all), options);
    measurement.Run(
        {.on_tokens = [](int64_t, const Workload&) { CheckSignals(); },
         .on_row =
             [&](const evaluate::MeasureRow& row) {
               const nb::gil_scoped_acquire gil;
               if (!callback.is_none()) callback(RowOf(row));
             }},
        result);
  }
  nb::list rows;
  for (const evaluate::MeasureRow& row : result.rows) rows.append(RowOf(row));
  nb::dict out;
  out["rows"] = rows;
  out["train_length"] = result.train_length;
  out["score_last"] = result.score_last;
  out["documents"] = result.documents;
  out["skipped"] = result.skipped;
  return out;
}

engine::Conversation ConversationOf(const std::string& messages,
                                    const std::string& tools,
                                    const std::string& variables,
                                    bool begins_answer) {
  engine::Conversation conversation;
  conversation.messages = formats::ParseJson(messages, "messages");
  Require(conversation.messages.is_array() && !conversation.messages.empty(),
          "messages must be a list with at least one message");
  for (const formats::Json& message : conversation.messages) {
    Require(message.is_object() && message.contains("role") &&
                message.at("role").is_string(),
            "every message must have a role");
  }
  if (!tools.empty()) conversation.tools = formats::ParseJson(tools, "tools");
  conversation.variables = formats::ParseJson(variables, "variables");
  conversation.begins_answer = begins_answer;
  return conversation;
}

engine::ChatTemplate TemplateOf(const engine::Engine& engine) {
  return engine::ChatTemplate::FromMetadata(engine.model().file().metadata());
}

}  // namespace

void BindEvaluate(nb::module_& module) {
  module.def("score", &Score, nb::arg("model"), nb::arg("ids"),
             nb::arg("first"), nb::arg("position"), nb::arg("context"),
             nb::arg("kv_type"));
  module.def("measure", &Measure, nb::arg("model"), nb::arg("texts"),
             nb::arg("ids"), nb::arg("positions"), nb::arg("lengths"),
             nb::arg("score_last"), nb::arg("documents"), nb::arg("repeat"),
             nb::arg("kv_type"), nb::arg("on_row").none());
  module.def("default_positions", &evaluate::DefaultSpellings);
  module.def(
      "needle",
      [](const Model& model, int64_t length, double at, int64_t number) {
        evaluate::NeedleText text = evaluate::WriteNeedle(
            EngineAccess::Of(model)->tokenizer(), length, at, number);
        return std::pair(std::move(text.prompt), std::move(text.answer));
      },
      nb::arg("model"), nb::arg("length"), nb::arg("at"), nb::arg("number"),
      ReleaseGil());
  module.def(
      "read_text",
      [](const std::string& path) {
        std::string text;
        {
          const nb::gil_scoped_release release;
          text = formats::ReadTextFile(path);
          formats::RequireUtf8(path, text);
        }
        return text;
      },
      nb::arg("path"));
  module.def(
      "render_chat",
      [](const Model& model, const std::string& messages,
         const std::string& tools, const std::string& variables,
         bool begins_answer) {
        const auto engine = EngineAccess::Of(model);
        return TemplateOf(*engine).RenderText(
            ConversationOf(messages, tools, variables, begins_answer));
      },
      nb::arg("model"), nb::arg("messages"), nb::arg("tools"),
      nb::arg("variables"), nb::arg("begins_answer"), ReleaseGil());
  module.def(
      "encode_chat",
      [](const Model& model, const std::string& messages,
         const std::string& tools, const std::string& variables,
         bool begins_answer) {
        const auto engine = EngineAccess::Of(model);
        return TemplateOf(*engine).Encode(
            engine->tokenizer(),
            ConversationOf(messages, tools, variables, begins_answer));
      },
      nb::arg("model"), nb::arg("messages"), nb::arg("tools"),
      nb::arg("variables"), nb::arg("begins_answer"), ReleaseGil());
}

}  // namespace ropewalk::python
