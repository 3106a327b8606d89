#include "huggingface/config_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;

// Members that say where a model comes from, how it was trained or how it is
// to be run, but not what it computes. Biases and their likes are here because
// the tensors themselves say whether they exist.
constexpr std::array<std::string_view, 53> kDescribes = {
    "architectures",
    "attention_bias",
    "attention_out_bias",
    "auto_map",
    "aux_loss_alpha",
    "begin_suppress_tokens",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "ep_size",
    "eoi_token_index",
    "experts_implementation",
    "finetuning_task",
    "id2label",
    "image_token_id",
    "image_token_index",
    "initial_context_length",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "license",
    "mlp_bias",
    "mm_tokens_per_image",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "qkv_bias",
    "resid_pdrop",
    "return_dict",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "seq_aux",
    "sep_token_id",
    "task_specific_params",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "unk_token_id",
    "use_bias",
    "use_cache",
    "use_qkv_bias",
    "boi_token_index",
    "num_labels",
    "upcast_embeddings"};

bool Describes(std::string_view name) {
  return name.starts_with('_') || name.ends_with("dropout") ||
         std::find(kDescribes.begin(), kDescribes.end(), name) !=
             kDescribes.end();
}

bool ChangesNothing(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         ((value.is_array() || value.is_object() || value.is_string()) &&
          (value.empty() || value == ""));
}

}  // namespace

ConfigReader::ConfigReader(const Json& object, std::string path,
                           std::string prefix)
    : object_(&object), path_(std::move(path)), prefix_(std::move(prefix)) {
  if (!object.is_object()) {
    Fail(prefix_.empty() ? "must be an object"
                         : "'" + prefix_.substr(0, prefix_.size() - 1) +
                               "' must be an object");
  }
}

void ConfigReader::Fail(const std::string& what) const {
  throw FormatError(path_, 0, what);
}

void ConfigReader::Fail(std::string_view name, const std::string& what) const {
  Fail("'" + prefix_ + Printable(std::string(name), 60) + "' " + what);
}

const Json* ConfigReader::Find(std::string_view name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const Json* ConfigReader::Take(std::string_view name) {
  const Json* value = Find(name);
  if (value != nullptr) taken_.insert(std::string(name));
  return value;
}

int64_t ConfigReader::Int(std::string_view name) {
  const auto value = FindInt(name);
  if (!value) Fail(name, "is missing");
  return *value;
}

std::optional<int64_t> ConfigReader::FindInt(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX)) {
    Fail(name, "must be an integer");
  }
  return value->get<int64_t>();
}

std::optional<double> ConfigReader::FindFloat(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    Fail(name, "must be a number");
  }
  return value->get<double>();
}

std::optional<bool> ConfigReader::FindBool(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) Fail(name, "must be true or false");
  return value->get<bool>();
}

std::optional<std::string> ConfigReader::FindString(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) Fail(name, "must be a string");
  return value->get<std::string>();
}

std::vector<double> ConfigReader::FindFloats(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return {};
  if (!value->is_array() ||
      !std::all_of(value->begin(), value->end(),
                   [](const Json& element) { return element.is_number(); })) {
    Fail(name, "must be a list of numbers");
  }
  return value->get<std::vector<double>>();
}

std::vector<std::string> ConfigReader::FindStrings(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return {};
  if (!value->is_array() ||
      !std::all_of(value->begin(), value->end(),
                   [](const Json& element) { return element.is_string(); })) {
    Fail(name, "must be a list of strings");
  }
  return value->get<std::vector<std::string>>();
}

std::optional<ConfigReader> ConfigReader::FindObject(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  return ConfigReader(*value, path_, prefix_ + std::string(name) + ".");
}

void ConfigReader::Ignore(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) taken_.insert(std::string(name));
}

void ConfigReader::RequireAllTaken() const {
  for (const auto& [name, value] : object_->items()) {
    if (taken_.contains(name) || ChangesNothing(value)) continue;
    if (prefix_.empty() && Describes(name)) continue;
    Fail(name,
         "is not understood, and may change what the model computes; it is " +
             Printable(value.dump(), 60));
  }
}

}  // namespace ropewalk::huggingface
