#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/memory.h>
#include <ropewalk/session.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "common.h"
#include "generation.h"
#include "shared_session.h"

namespace ropewalk::python {

SharedSession::Use SharedSession::Look() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) {
    throw std::runtime_error(
        "the session is in use by another call; a session is for one thread at "
        "a time, and its callbacks may not use it");
  }
  return Use(session_, std::move(lock));
}

SharedSession::Use SharedSession::Change() {
  Use use = Look();
  if (const auto generation = generation_.lock()) generation->Close();
  generation_.reset();
  return use;
}

namespace {

using Shared = std::shared_ptr<SharedSession>;

// The vector's numbers as a NumPy array that keeps them and cannot be written.
nb::object ArrayOf(std::shared_ptr<const std::vector<float>> numbers) {
  using Owner = std::shared_ptr<const std::vector<float>>;
  const float* data = numbers->data();
  const size_t size = numbers->size();
  auto kept = std::make_unique<Owner>(std::move(numbers));
  nb::capsule owner(kept.get(), [](void* pointer) noexcept {
    delete static_cast<Owner*>(pointer);
  });
  (void)kept.release();
  return nb::cast(
      nb::ndarray<nb::numpy, const float, nb::ndim<1>>(data, {size}, owner));
}

Shared NewSession(const Model& model, const std::string& position,
                  int64_t context, const std::string& kv_type,
                  bool allow_known_failure) {
  return std::make_shared<SharedSession>(
      Session(model, {.context_length = context,
                      .scheme = Scheme::Parse(position),
                      .kv_type = ParseKvType(kv_type),
                      .allow_known_failure = allow_known_failure}));
}

int64_t ReadTokens(const Shared& shared, const std::vector<int64_t>& ids,
                   const nb::object& progress) {
  const std::vector<Token> tokens = TokensOf(ids);
  const ReadCallback go_on = ReadCallbackOf(progress);
  const nb::gil_scoped_release release;
  return shared->Change()->Read(tokens, go_on);
}

// Fields by name, from the keyword arguments of Session.generate.
struct Options {
  GenerateOptions generate;
};

std::shared_ptr<Generation> NewGeneration(const Shared& shared,
                                          const Options& options) {
  const SharedSession::Use use = shared->Change();
  auto generation = std::make_shared<Generation>(shared, options.generate);
  shared->SetGeneration(generation);
  return generation;
}

const char* NameOf(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfText:
      return "end of text";
    case StopReason::kTokenLimit:
      return "token limit";
    case StopReason::kContextFull:
      return "context full";
    case StopReason::kStopText:
      return "stop text";
    case StopReason::kCaller:
      return "closed";
  }
  return "";
}

// A member of `options`, readable and writable under `name`.
template <typename T>
void Field(nb::class_<Options>& bound, const char* name,
           T GenerateOptions::*member) {
  bound.def_prop_rw(
      name, [member](const Options& o) { return o.generate.*member; },
      [member](Options& o, const T& value) { o.generate.*member = value; },
      nb::for_setter(nb::arg("value").none()));
}

template <typename T>
void SamplingField(nb::class_<Options>& bound, const char* name,
                   T SampleOptions::*member) {
  bound.def_prop_rw(
      name, [member](const Options& o) { return o.generate.sampling.*member; },
      [member](Options& o, const T& value) {
        o.generate.sampling.*member = value;
      });
}

void BindOptions(nb::module_& module) {
  nb::class_<Options> options(module, "GenerateOptions");
  options.def(nb::init<>());
  Field(options, "max_tokens", &GenerateOptions::max_tokens);
  Field(options, "grammar", &GenerateOptions::grammar);
  Field(options, "json_schema", &GenerateOptions::json_schema);
  Field(options, "stop", &GenerateOptions::stops);
  Field(options, "ignore_end_of_text", &GenerateOptions::ignore_end_of_text);
  Field(options, "log_probabilities", &GenerateOptions::log_probabilities);
  Field(options, "shift", &GenerateOptions::shift);
  Field(options, "keep", &GenerateOptions::keep);
  SamplingField(options, "temperature", &SampleOptions::temperature);
  SamplingField(options, "top_k", &SampleOptions::top_k);
  SamplingField(options, "top_p", &SampleOptions::top_p);
  SamplingField(options, "min_p", &SampleOptions::min_p);
  SamplingField(options, "typical_p", &SampleOptions::typical_p);
  SamplingField(options, "logit_bias", &SampleOptions::logit_bias);
  SamplingField(options, "repetition_penalty",
                &SampleOptions::repetition_penalty);
  SamplingField(options, "frequency_penalty",
                &SampleOptions::frequency_penalty);
  SamplingField(options, "presence_penalty", &SampleOptions::presence_penalty);
  SamplingField(options, "penalty_last", &SampleOptions::penalty_last);
  SamplingField(options, "dry_multiplier", &SampleOptions::dry_multiplier);
  SamplingField(options, "dry_base", &SampleOptions::dry_base);
  SamplingField(options, "dry_allowed_length",
                &SampleOptions::dry_allowed_length);
  SamplingField(options, "dry_last", &SampleOptions::dry_last);
  SamplingField(options, "dry_breakers", &SampleOptions::dry_breakers);
  SamplingField(options, "seed", &SampleOptions::seed);
}

void BindGeneration(nb::module_& module) {
  nb::class_<Piece>(module, "Piece", "What one token adds to a text.")
      .def_ro("id", &Piece::id,
              "The token; None for text that was held back to the end.")
      .def_prop_ro(
          "text", [](const Piece& piece) { return TextOf(piece.text); },
          "What can be shown now: never half a character, often empty.")
      .def_ro("log_probability", &Piece::log_probability,
              "Natural, at temperature 1; None unless asked for.")
      .def_ro("most_likely", &Piece::most_likely,
              "The likeliest tokens with their log probabilities, as asked "
              "for.")
      .def("__str__", [](const Piece& piece) { return TextOf(piece.text); });
  nb::class_<Generation>(module, "Generation")
      .def("next", &Generation::Next, ReleaseGil())
      .def("close", &Generation::Close, ReleaseGil())
      .def_prop_ro("text", [](const Generation& g) { return TextOf(g.text()); })
      .def_prop_ro("tokens", &Generation::tokens)
      .def("reason",
           [](const Generation& g) -> std::optional<std::string> {
             const auto result = g.result();
             if (!result) return std::nullopt;
             return NameOf(result->reason);
           })
      .def("stop",
           [](const Generation& g) -> std::optional<std::string> {
             const auto result = g.result();
             if (!result || result->reason != StopReason::kStopText) {
               return std::nullopt;
             }
             return result->stop;
           })
      .def("shifted_tokens", [](const Generation& g) -> std::optional<int64_t> {
        const auto result = g.result();
        if (!result) return std::nullopt;
        return result->shifted_tokens;
      });
}

}  // namespace

void BindSession(nb::module_& module) {
  BindOptions(module);
  BindGeneration(module);
  nb::class_<SharedSession>(module, "Session")
      .def_static("open", &NewSession, nb::arg("model"), nb::arg("position"),
                  nb::arg("context"), nb::arg("kv_type"),
                  nb::arg("allow_known_failure"), ReleaseGil())
      .def_prop_ro(
          "context",
          [](SharedSession& s) { return s.Look()->context_length(); },
          ReleaseGil())
      .def_prop_ro(
          "position",
          [](SharedSession& s) { return s.Look()->scheme().ToString(); },
          ReleaseGil())
      .def_prop_ro(
          "described",
          [](SharedSession& s) { return s.Look()->DescribeScheme(); },
          ReleaseGil())
      .def_prop_ro(
          "size", [](SharedSession& s) { return s.Look()->size(); },
          ReleaseGil())
      .def_prop_ro(
          "tokens",
          [](SharedSession& s) {
            const SharedSession::Use use = s.Look();
            return std::vector<Token>(use->tokens().begin(),
                                      use->tokens().end());
          },
          ReleaseGil())
      .def_prop_ro(
          "kv_bytes", [](SharedSession& s) { return s.Look()->kv_bytes(); },
          ReleaseGil())
      .def("read", &ReadTokens, nb::arg("ids"), nb::arg("progress").none())
      .def("logits",
           [](SharedSession& s) {
             std::shared_ptr<const std::vector<float>> logits;
             {
               const nb::gil_scoped_release release;
               logits = s.Change()->SharedLogits();
             }
             return ArrayOf(std::move(logits));
           })
      .def("generate", &NewGeneration, nb::arg("options"), ReleaseGil())
      .def(
          "attach",
          [](SharedSession& s, const std::vector<Memory>& memories,
             const std::string& law) { s.Change()->Attach(memories, law); },
          nb::arg("memories"), nb::arg("law"), ReleaseGil())
      .def(
          "fork",
          [](SharedSession& s) {
            return std::make_shared<SharedSession>(s.Change()->Fork());
          },
          ReleaseGil())
      .def(
          "trim",
          [](SharedSession& s, int64_t size) { s.Change()->Trim(size); },
          nb::arg("size"), ReleaseGil())
      .def(
          "shift",
          [](SharedSession& s, int64_t keep, int64_t count) {
            s.Change()->Shift(keep, count);
          },
          nb::arg("keep"), nb::arg("count"), ReleaseGil())
      .def(
          "change_position",
          [](SharedSession& s, const std::string& spelling) {
            s.Change()->ChangeScheme(Scheme::Parse(spelling));
          },
          nb::arg("position"), ReleaseGil())
      .def(
          "save",
          [](SharedSession& s, const std::string& path) {
            s.Change()->SaveCache(path);
          },
          nb::arg("path"), ReleaseGil())
      .def(
          "load",
          [](SharedSession& s, const std::string& path,
             const std::vector<int64_t>& ids) {
            return s.Change()->LoadCache(path, TokensOf(ids));
          },
          nb::arg("path"), nb::arg("ids"), ReleaseGil());
  module.def(
      "read_together",
      [](const std::vector<std::pair<Shared, std::vector<int64_t>>>& texts) {
        std::vector<std::vector<Token>> tokens;
        std::vector<SharedSession::Use> uses;
        for (const auto& [session, ids] : texts) {
          tokens.push_back(TokensOf(ids));
          uses.push_back(session->Change());
        }
        std::vector<Slice> slices;
        for (size_t i = 0; i < uses.size(); ++i) {
          slices.push_back({.session = &*uses[i], .tokens = tokens[i]});
        }
        Read(slices);
      },
      nb::arg("texts"), ReleaseGil());
}

}  // namespace ropewalk::python
