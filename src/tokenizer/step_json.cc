#include "tokenizer/step_json.h"

#include <utility>

#include "base/text.h"

namespace ropewalk::tokenizer {

StepJson::StepJson(const formats::Metadata& metadata, const formats::Json& json,
                   std::string part)
    : metadata_(metadata), json_(json), part_(std::move(part)) {
  if (!json.is_object()) throw Error("must be an object");
  const formats::Json* type = Find("type");
  if (type == nullptr) return;
  if (!type->is_string()) throw WrongField("type", "a string");
  type_ = type->get<std::string>();
}

const formats::Json* StepJson::Find(std::string_view name) const {
  const auto found = json_.find(std::string(name));
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

bool StepJson::Bool(std::string_view name, std::optional<bool> usual) const {
  const formats::Json* field = Find(name);
  if (field == nullptr && usual) return *usual;
  if (field == nullptr || !field->is_boolean()) {
    throw WrongField(name, "true or false");
  }
  return field->get<bool>();
}

std::string StepJson::String(std::string_view name,
                             const std::optional<std::string>& usual) const {
  const formats::Json* field = Find(name);
  if (field == nullptr && usual) return *usual;
  if (field == nullptr || !field->is_string()) {
    throw WrongField(name, "a string");
  }
  return field->get<std::string>();
}

int64_t StepJson::Int(std::string_view name, int64_t least, int64_t most,
                      std::optional<int64_t> usual) const {
  const formats::Json* field = Find(name);
  if (field == nullptr && usual) return *usual;
  if (field == nullptr || !field->is_number_integer() ||
      (field->is_number_unsigned() &&
       field->get<uint64_t>() > static_cast<uint64_t>(most)) ||
      field->get<int64_t>() < least || field->get<int64_t>() > most) {
    throw Error("field '" + std::string(name) + "' must be an integer from " +
                std::to_string(least) + " to " + std::to_string(most) +
                (field == nullptr ? ", and is missing"
                                  : ", got " + Printable(field->dump(), 40)));
  }
  return field->get<int64_t>();
}

std::vector<StepJson> StepJson::List(std::string_view name) const {
  const formats::Json* field = Find(name);
  if (field == nullptr || !field->is_array()) throw WrongField(name, "a list");
  std::vector<StepJson> list;
  for (const formats::Json& item : *field) {
    list.emplace_back(metadata_, item, part_);
  }
  return list;
}

FormatError StepJson::Error(const std::string& rule) const {
  return metadata_.Error(
      kPipelineKey,
      part_ + (type_.empty() ? "" : " '" + Printable(type_, 40) + "'") + ": " +
          rule);
}

FormatError StepJson::Unknown() const {
  return Error(type_.empty() ? "has no type" : "is not supported");
}

FormatError StepJson::WrongField(std::string_view name,
                                 const char* expected) const {
  return Error("field '" + std::string(name) + "' must be " + expected);
}

namespace {

void Flatten(const StepJson& step, const std::string& list,
             std::vector<StepJson>* steps) {
  if (step.type() != "Sequence") {
    if (steps->size() == kMostSteps) {
      throw step.Error("is one step too many; a part may have " +
                       std::to_string(kMostSteps));
    }
    steps->push_back(step);
    return;
  }
  for (const StepJson& inner : step.List(list)) Flatten(inner, list, steps);
}

}  // namespace

std::vector<StepJson> FlatSteps(const formats::Metadata& metadata,
                                const formats::Json& json,
                                const std::string& part,
                                const std::string& list) {
  std::vector<StepJson> steps;
  if (!json.is_null()) Flatten({metadata, json, part}, list, &steps);
  return steps;
}

}  // namespace ropewalk::tokenizer
