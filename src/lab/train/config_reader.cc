#include "lab/train/config_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::train {
namespace {

std::vector<std::string> Split(std::string_view key) {
  std::vector<std::string> parts;
  size_t at = 0;
  while (true) {
    const size_t dot = key.find('.', at);
    parts.emplace_back(key.substr(at, dot - at));
    if (dot == std::string_view::npos) return parts;
    at = dot + 1;
  }
}

std::string ValueText(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return Printable(text.str(), 60);
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ", ") + text;
  return all;
}

}  // namespace

struct ConfigReader::Document {
  std::string source;
  std::string text;
  toml::table root;
  std::set<std::string> asked;  // every dotted key
  std::set<std::string> overridden;
  ConfigValues values;

  void Record(std::string_view key, const std::string& text) {
    for (auto& [name, value] : values) {
      if (name == key) {
        value = text;
        return;
      }
    }
    values.emplace_back(key, text);
  }

  const toml::node* Find(std::string_view key) const {
    const toml::node* node = &root;
    for (const std::string& part : Split(key)) {
      const toml::table* table = node->as_table();
      if (table == nullptr) return nullptr;
      node = table->get(part);
      if (node == nullptr) return nullptr;
    }
    return node;
  }

  bool IsOverridden(std::string_view key) const {
    for (const std::string& name : overridden) {
      const bool within = key.size() > name.size() && key[name.size()] == '.';
      if (key.starts_with(name) && (key.size() == name.size() || within)) {
        return true;
      }
    }
    return false;
  }

  std::string Place(std::string_view key) const {
    if (IsOverridden(key)) return "--set " + std::string(key);
    const toml::node* node = Find(key);
    // A missing key is told at the line of its table.
    std::string_view above = key;
    while (node == nullptr && above.find('.') != std::string_view::npos) {
      above = above.substr(0, above.rfind('.'));
      node = Find(above);
    }
    std::string place = source;
    if (node != nullptr && node->source().begin.line > 0) {
      place += ":" + std::to_string(node->source().begin.line);
    }
    return place + ": " + std::string(key);
  }

  void Override(const std::string& text) {
    const size_t equals = text.find('=');
    Require(equals != std::string::npos && equals > 0,
            "--set " + Printable(text, 60) + ": expected key=value");
    const std::string key = text.substr(0, equals);
    Require(!FindInvalidUtf8(text),
            "--set " + Printable(key, 60) + ": the value is not UTF-8");
    const std::string value = text.substr(equals + 1);
    toml::table parsed;
    try {
      parsed = toml::parse("value = " + value + "\n");
      Require(parsed.size() == 1, "");
    } catch (const std::exception&) {
      parsed = toml::table{};
      parsed.insert("value", value);
    }
    const std::vector<std::string> parts = Split(key);
    toml::table* table = &root;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      toml::node* next = table->get(parts[i]);
      if (next == nullptr) {
        next = &table->insert(parts[i], toml::table{}).first->second;
      }
      table = next->as_table();
      Require(table != nullptr,
              "--set " + key + ": '" + parts[i] + "' is a value, not a table");
    }
    table->insert_or_assign(parts.back(), std::move(*parsed.get("value")));
    overridden.insert(key);
  }

  void Collect(
      const toml::table& table, const std::string& prefix,
      std::vector<std::pair<std::string, const toml::node*>>& out) const {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      if (asked.count(name) != 0) continue;
      if (const toml::table* inner = node.as_table()) {
        Collect(*inner, name + ".", out);
        if (inner->empty()) out.emplace_back(name, &node);
      } else {
        out.emplace_back(name, &node);
      }
    }
  }
};

ConfigReader::ConfigReader(std::string_view text, const std::string& source,
                           const std::vector<std::string>& overrides)
    : document_(std::make_unique<Document>()) {
  document_->source = source;
  document_->text = std::string(text);
  try {
    document_->root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw std::invalid_argument(source + ":" +
                                std::to_string(error.source().begin.line) +
                                ": " + Printable(error.description(), 200));
  }
  for (const std::string& entry : overrides) document_->Override(entry);
}

ConfigReader::~ConfigReader() = default;

void ConfigReader::Fail(std::string_view key, const std::string& what) const {
  throw std::invalid_argument(document_->Place(key) + ": " + what);
}

bool ConfigReader::Has(std::string_view key) {
  document_->asked.insert(std::string(key));
  return document_->Find(key) != nullptr;
}

const ConfigValues& ConfigReader::Values() const { return document_->values; }

void ConfigReader::SetValue(std::string_view key, const std::string& text) {
  document_->Record(key, text);
}

int64_t ConfigReader::Int(std::string_view key, int64_t otherwise,
                          int64_t least, int64_t most) {
  SetValue(key, std::to_string(otherwise));
  if (!Has(key)) return otherwise;
  const toml::node* node = document_->Find(key);
  const auto value = node->value_exact<int64_t>();
  if (!value) Fail(key, "expected an integer, got " + ValueText(*node));
  if (*value < least || *value > most) {
    Fail(key, "must lie in " + std::to_string(least) + " .. " +
                  std::to_string(most) + ", got " + std::to_string(*value));
  }
  SetValue(key, std::to_string(*value));
  return *value;
}

namespace {

std::optional<int64_t> LengthOf(const toml::node& node) {
  if (const auto value = node.value_exact<int64_t>()) return *value;
  if (const auto text = node.value_exact<std::string>()) {
    return ParseLength(*text);
  }
  return std::nullopt;
}

}  // namespace

int64_t ConfigReader::Length(std::string_view key, int64_t otherwise,
                             int64_t least) {
  SetValue(key, std::to_string(otherwise));
  if (!Has(key)) return otherwise;
  const toml::node* node = document_->Find(key);
  const auto value = LengthOf(*node);
  if (!value) {
    Fail(key, "expected a length as 256 or \"4k\", got " + ValueText(*node));
  }
  if (*value < least) {
    Fail(key, "must be at least " + std::to_string(least) + ", got " +
                  std::to_string(*value));
  }
  SetValue(key, std::to_string(*value));
  return *value;
}

double ConfigReader::Number(std::string_view key, double otherwise,
                            double least, double most) {
  SetValue(key, FormatNumber(otherwise));
  if (!Has(key)) return otherwise;
  const toml::node* node = document_->Find(key);
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value) Fail(key, "expected a number, got " + ValueText(*node));
  if (!(*value >= least && *value <= most)) {
    Fail(key, "must lie in " + FormatNumber(least) + " .. " +
                  FormatNumber(most) + ", got " + FormatNumber(*value));
  }
  SetValue(key, FormatNumber(*value));
  return *value;
}

bool ConfigReader::Bool(std::string_view key, bool otherwise) {
  SetValue(key, otherwise ? "true" : "false");
  if (!Has(key)) return otherwise;
  const toml::node* node = document_->Find(key);
  const auto value = node->value_exact<bool>();
  if (!value) Fail(key, "expected true or false, got " + ValueText(*node));
  SetValue(key, *value ? "true" : "false");
  return *value;
}

std::string ConfigReader::String(std::string_view key,
                                 std::string_view otherwise) {
  SetValue(key, std::string(otherwise));
  if (!Has(key)) return std::string(otherwise);
  const toml::node* node = document_->Find(key);
  const auto value = node->value_exact<std::string>();
  if (!value) Fail(key, "expected a string, got " + ValueText(*node));
  SetValue(key, *value);
  return *value;
}

std::vector<std::string> ConfigReader::Strings(std::string_view key) {
  SetValue(key, "");
  if (!Has(key)) return {};
  const toml::node* node = document_->Find(key);
  if (const auto one = node->value_exact<std::string>()) {
    SetValue(key, *one);
    return {*one};
  }
  const toml::array* array = node->as_array();
  std::vector<std::string> strings;
  if (array == nullptr) {
    Fail(key,
         "expected a string or an array of strings, got " + ValueText(*node));
  }
  for (const toml::node& element : *array) {
    const auto value = element.value_exact<std::string>();
    if (!value) Fail(key, "expected strings, got " + ValueText(element));
    strings.push_back(*value);
  }
  SetValue(key, Joined(strings));
  return strings;
}

std::vector<int64_t> ConfigReader::Lengths(std::string_view key) {
  SetValue(key, "");
  if (!Has(key)) return {};
  const toml::node* node = document_->Find(key);
  std::vector<const toml::node*> nodes = {node};
  if (const toml::array* array = node->as_array()) {
    nodes.clear();
    for (const toml::node& element : *array) nodes.push_back(&element);
  }
  std::vector<int64_t> lengths;
  std::vector<std::string> texts;
  for (const toml::node* element : nodes) {
    const auto value = LengthOf(*element);
    if (!value || *value < 1) {
      Fail(key, "expected lengths of at least 1 as 256 or \"4k\", got " +
                    ValueText(*element));
    }
    lengths.push_back(*value);
    texts.push_back(std::to_string(*value));
  }
  SetValue(key, Joined(texts));
  return lengths;
}

std::vector<std::pair<int64_t, double>> ConfigReader::Points(
    std::string_view key) {
  SetValue(key, "");
  if (!Has(key)) return {};
  const toml::node* node = document_->Find(key);
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    Fail(key, "expected [[step, factor], ...], got " + ValueText(*node));
  }
  std::vector<std::pair<int64_t, double>> points;
  std::vector<std::string> texts;
  for (const toml::node& element : *array) {
    const toml::array* pair = element.as_array();
    const bool fits = pair != nullptr && pair->size() == 2 &&
                      pair->get(0)->is_integer() && pair->get(1)->is_number();
    if (!fits) {
      Fail(key, "expected [step, factor] pairs, got " + ValueText(element));
    }
    points.emplace_back(*pair->get(0)->value<int64_t>(),
                        *pair->get(1)->value<double>());
    texts.push_back(std::to_string(points.back().first) + ": " +
                    FormatNumber(points.back().second));
  }
  SetValue(key, Joined(texts));
  return points;
}

std::string ConfigReader::Text() const {
  // As it was written, comments and all, where nothing was changed.
  if (document_->overridden.empty()) return document_->text;
  std::ostringstream text;
  text << toml::toml_formatter(document_->root) << "\n";
  return text.str();
}

void ConfigReader::RequireAllRead() const {
  std::vector<std::pair<std::string, const toml::node*>> unknown;
  document_->Collect(document_->root, "", unknown);
  if (unknown.empty()) return;
  const std::string& key = unknown.front().first;
  const size_t dot = key.rfind('.');
  const std::string table =
      dot == std::string::npos ? "" : key.substr(0, dot + 1);
  std::string known;
  for (const std::string& name : document_->asked) {
    const bool beside = name.rfind(table, 0) == 0 &&
                        name.find('.', table.size()) == std::string::npos;
    if (beside) {
      known += (known.empty() ? "" : ", ") + name.substr(table.size());
    }
  }
  std::string what = "unknown key";
  if (!known.empty()) {
    what += "; known here: " + known;
  } else {
    std::set<std::string> tables;
    for (const std::string& name : document_->asked) {
      if (const size_t at = name.find('.'); at != std::string::npos) {
        tables.insert(name.substr(0, at));
      }
    }
    what += "; tables:";
    for (const std::string& name : tables) what += " [" + name + "]";
  }
  Fail(key, what);
}

}  // namespace ropewalk::lab::train
