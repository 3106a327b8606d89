#include "jinja/rendering.h"

#include <algorithm>
#include <utility>

#include "jinja/characters.h"
#include "jinja/operators.h"

namespace ropewalk::jinja {
namespace {

// What a text takes beside its bytes.
constexpr size_t kTextBytes = 128;

}  // namespace

const Value* Scope::Find(std::string_view name) const {
  for (const auto& [variable, value] : variables) {
    if (variable == name) return &value;
  }
  return nullptr;
}

void Scope::Set(const std::string& name, Value value) {
  for (auto& [variable, held] : variables) {
    if (variable == name) {
      held = std::move(value);
      return;
    }
  }
  variables.emplace_back(name, std::move(value));
}

bool Loop::Admits(const Value& item) {
  if (!admits) return true;
  if (asks) throw Failure("the condition of a loop asks for its own loop");
  asks = true;
  const bool admitted = admits(item);
  asks = false;
  return admitted;
}

const std::optional<Value>& Loop::Peek() {
  while (!ahead && next < items.size()) {
    const Value& item = items[next++];
    if (Admits(item)) ahead = item;
  }
  return ahead;
}

std::optional<Value> Loop::Take() {
  if (!Peek()) return std::nullopt;
  ++index0;
  before = std::move(current);
  current = *std::exchange(ahead, std::nullopt);
  return current;
}

int64_t Loop::Length() {
  if (length) return *length;
  if (asks) throw Failure("the condition of a loop asks for its own loop");
  if (admits) {
    std::vector<Value> rest;
    for (; next < items.size(); ++next) {
      if (Admits(items[next])) rest.push_back(items[next]);
    }
    items = std::move(rest);
    next = 0;
    admits = nullptr;
    length = static_cast<int64_t>(items.size()) + index0 + 1 + (ahead ? 1 : 0);
  } else {
    length = static_cast<int64_t>(items.size());
  }
  return *length;
}

Nested::Nested(Rendering& rendering) : rendering_(rendering) {
  const int most = rendering.options_.limits.depth;
  if (rendering.depth_ >= most) {
    throw Failure("blocks and calls are nested more than " +
                  std::to_string(most) + " deep");
  }
  ++rendering.depth_;
}

Rendering::Rendering(const Variables& variables, const RenderOptions& options)
    : options_(options), globals_(std::make_shared<Scope>(nullptr)) {
  for (const auto& [name, value] : variables) globals_->Set(name, value);
}

Text Rendering::Run(const Body& body) {
  Text text;
  out_ = &text;
  Execute(body, std::make_shared<Scope>(globals_));
  return text;
}

void Rendering::Spend(int64_t steps) {
  steps_ += steps;
  if (steps_ > options_.limits.steps) {
    throw Failure("the template takes more than " +
                  std::to_string(options_.limits.steps) +
                  " steps; does it loop without end?");
  }
}

void Rendering::SpendBytes(size_t bytes) {
  bytes_ += static_cast<int64_t>(bytes);
  if (bytes_ > options_.limits.bytes) {
    throw Failure("the template makes texts and lists of more than " +
                  std::to_string(options_.limits.bytes) + " bytes");
  }
}

Value Rendering::Keep(Text text) {
  SpendBytes(text.size() + kTextBytes);
  return Value::Of(std::move(text));
}

Value Rendering::Keep(std::vector<Value> items, ListKind kind) {
  SpendBytes(items.size() * sizeof(Value));
  return Value::OfList(std::move(items), kind);
}

Value Rendering::Keep(std::vector<std::pair<Value, Value>> entries) {
  SpendBytes(entries.size() * 2 * sizeof(Value));
  return Value::OfDict(std::move(entries));
}

void Rendering::Write(const Text& text) {
  SpendBytes(text.size());
  out_->Append(text);
  if (static_cast<int64_t>(out_->size()) > options_.limits.output_bytes) {
    throw Failure("the template writes more than " +
                  std::to_string(options_.limits.output_bytes) + " bytes");
  }
}

Namespace& Rendering::NewNamespace() {
  SpendBytes(sizeof(Namespace));
  return namespaces_.emplace_back();
}

std::vector<Value> Rendering::Items(const Value& value) {
  std::vector<Value> items;
  if (value.IsUndefined()) return items;
  if (value.IsText()) {
    const Text& text = value.AsText();
    const std::string& bytes = text.bytes();
    SpendBytes(static_cast<size_t>(CountCharacters(bytes)) * kTextBytes);
    for (size_t i = 0; i < bytes.size(); i += CharacterBytes(bytes[i])) {
      items.push_back(Value::Of(text.Slice(i, i + CharacterBytes(bytes[i]))));
    }
  } else if (value.IsDict()) {
    for (const auto& entry : value.AsDict().entries) {
      items.push_back(entry.first);
    }
  } else if (value.IsList(ListKind::kGenerator)) {
    List& list = value.AsList();
    items.assign(list.items.begin() + static_cast<ptrdiff_t>(list.taken),
                 list.items.end());
    list.taken = list.items.size();
  } else if (value.IsList()) {
    items = value.AsList().items;
  } else {
    throw Failure("a " + TypeName(value) + " cannot be iterated");
  }
  SpendBytes(items.size() * sizeof(Value));
  return items;
}

Value Rendering::LoopAttribute(const Value& value, const std::string& name) {
  Loop& loop = value.AsLoop();
  if (name == "index") return Value::Of(loop.index0 + 1);
  if (name == "index0") return Value::Of(loop.index0);
  if (name == "first") return Value::Of(loop.index0 == 0);
  if (name == "last") return Value::Of(!loop.Peek().has_value());
  if (name == "length") return Value::Of(loop.Length());
  if (name == "revindex") return Value::Of(loop.Length() - loop.index0);
  if (name == "revindex0") return Value::Of(loop.Length() - loop.index0 - 1);
  if (name == "depth") return Value::Of(loop.depth0 + 1);
  if (name == "depth0") return Value::Of(loop.depth0);
  if (name == "previtem") {
    if (loop.index0 == 0) return Value::Missing("there is no previous item");
    return loop.before;
  }
  if (name == "nextitem") {
    if (loop.Peek()) return *loop.Peek();
    return Value::Missing("there is no next item");
  }
  if (name == "cycle" || name == "changed") {
    const auto method = name == "cycle" ? LoopCycle : LoopChanged;
    return Value::OfMethod(name, value, method);
  }
  return Value::Missing("a loop has no '" + name + "'");
}

Value Rendering::LoopCycle(Rendering&, const Value& value,
                           const Arguments& arguments) {
  if (arguments.positional.empty()) {
    throw Failure("loop.cycle() takes at least one value");
  }
  const auto index = static_cast<size_t>(value.AsLoop().index0);
  return arguments.positional[index % arguments.positional.size()];
}

Value Rendering::LoopChanged(Rendering&, const Value& value,
                             const Arguments& arguments) {
  Loop& loop = value.AsLoop();
  // What an ended loop kept would never be let go of.
  if (loop.ended) throw Failure("loop.changed() of a loop that has ended");
  const std::vector<Value>& now = arguments.positional;
  const bool same =
      loop.changed_before &&
      std::equal(now.begin(), now.end(), loop.last_changed.begin(),
                 loop.last_changed.end(), Equal);
  if (same) return Value::Of(false);
  loop.changed_before = true;
  loop.last_changed = now;
  return Value::Of(true);
}

}  // namespace ropewalk::jinja
