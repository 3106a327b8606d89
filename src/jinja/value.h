// Values of the template language, with the meaning that Python gives them.

#ifndef ROPEWALK_JINJA_VALUE_H_
#define ROPEWALK_JINJA_VALUE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/json_file.h"
#include "jinja/text.h"

namespace ropewalk::jinja {

class Value;
class Rendering;
struct Arguments;
struct Loop;

// What goes wrong while a template runs. Rendering adds the line.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A list may hold one other list many times, so it may be far larger than the
// memory that it takes. No value is heavier than this.
inline constexpr int64_t kMostWeight = 20'000'000;

// Lists nest less deep than this; so does everything that is printed.
inline constexpr int kMostNesting = 200;

enum class ListKind {
  kList,
  kTuple,
  kRange,      // of numbers
  kView,       // what dict.items() and so on return: no indices
  kGenerator,  // what most filters return: no length, and read once
};

// Never changed after it was made, but for `taken`.
struct List {
  ListKind kind = ListKind::kList;
  std::vector<Value> items;
  int depth = 1;       // of nesting
  int64_t weight = 1;  // as Weight() says
  size_t taken = 0;    // items of a generator that were read
};

// Never changed after it was made. Entries keep their order; keys differ.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  int depth = 1;
  int64_t weight = 1;
};

// namespace(): the only object that a template may change.
struct Namespace {
  std::vector<std::pair<std::string, Value>> members;
};

// A function, a method of an object or a macro.
struct Callable {
  std::string name;
  std::function<Value(Rendering&, const Arguments&)> call;
  int depth = 1;  // of nesting, with the object that a method belongs to
};

// A name or member that does not exist. It prints as nothing.
struct Undefined {
  std::string what;  // "'x' is undefined"
};

class Value {
 public:
  using None = std::monostate;

  Value() = default;  // none
  static Value Of(bool value) { return Value(value); }
  static Value Of(int64_t value) { return Value(value); }
  static Value Of(double value) { return Value(value); }
  static Value Of(Text text) {
    return Value(std::make_shared<const Text>(std::move(text)));
  }
  // Text of the template's own.
  static Value Of(std::string_view text) { return Of(Text(text, false)); }
  static Value Of(const char* text) { return Of(std::string_view(text)); }
  static Value Missing(std::string what) {
    return Value(std::make_shared<const Undefined>(Undefined{std::move(what)}));
  }
  // Throw Failure beyond kMostNesting.
  static Value OfList(std::vector<Value> items,
                      ListKind kind = ListKind::kList);
  static Value OfDict(std::vector<std::pair<Value, Value>> entries);
  static Value Of(Namespace* space) { return Value(space); }
  static Value OfFunction(
      std::string name,
      std::function<Value(Rendering&, const Arguments&)> call);
  // A method of `owner`.
  static Value OfMethod(std::string name, const Value& owner,
                        Value (*method)(Rendering&, const Value&,
                                        const Arguments&));
  static Value Of(std::shared_ptr<Loop> loop) { return Value(std::move(loop)); }

  bool IsNone() const { return Is<None>(); }
  bool IsUndefined() const { return Is<std::shared_ptr<const Undefined>>(); }
  bool IsBool() const { return Is<bool>(); }
  // An int of Python's, which bools are too.
  bool IsInt() const { return Is<int64_t>() || IsBool(); }
  bool IsFloat() const { return Is<double>(); }
  bool IsNumber() const { return IsInt() || IsFloat(); }
  bool IsText() const { return Is<std::shared_ptr<const Text>>(); }
  bool IsList() const { return Is<std::shared_ptr<List>>(); }
  bool IsDict() const { return Is<std::shared_ptr<const Dict>>(); }
  bool IsNamespace() const { return Is<Namespace*>(); }
  bool IsCallable() const { return Is<std::shared_ptr<const Callable>>(); }
  bool IsLoop() const { return Is<std::shared_ptr<Loop>>(); }
  // Lists of that kind alone.
  bool IsList(ListKind kind) const { return IsList() && AsList().kind == kind; }

  // Of the kind that IsX tells, unchecked.
  bool AsBool() const { return std::get<bool>(data_); }
  int64_t AsInt() const {
    return IsBool() ? (AsBool() ? 1 : 0) : std::get<int64_t>(data_);
  }
  // Of any number.
  double AsFloat() const {
    return IsFloat() ? std::get<double>(data_) : static_cast<double>(AsInt());
  }
  const Text& AsText() const {
    return *std::get<std::shared_ptr<const Text>>(data_);
  }
  List& AsList() const { return *std::get<std::shared_ptr<List>>(data_); }
  const Dict& AsDict() const {
    return *std::get<std::shared_ptr<const Dict>>(data_);
  }
  Namespace& AsNamespace() const { return *std::get<Namespace*>(data_); }
  const Callable& AsCallable() const {
    return *std::get<std::shared_ptr<const Callable>>(data_);
  }
  Loop& AsLoop() const { return *std::get<std::shared_ptr<Loop>>(data_); }
  const std::string& WhatIsMissing() const {
    return std::get<std::shared_ptr<const Undefined>>(data_)->what;
  }

  // Whether both are the same object.
  bool Same(const Value& other) const { return data_ == other.data_; }

 private:
  template <typename T>
  explicit Value(T data) : data_(std::move(data)) {}
  template <typename T>
  bool Is() const {
    return std::holds_alternative<T>(data_);
  }

  std::variant<None, std::shared_ptr<const Undefined>, bool, int64_t, double,
               std::shared_ptr<const Text>, std::shared_ptr<List>,
               std::shared_ptr<const Dict>, Namespace*,
               std::shared_ptr<const Callable>, std::shared_ptr<Loop>>
      data_;
};

// What a call passes.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Python's name of the type: "str", "dict", for messages.
std::string TypeName(const Value& value);

bool IsTrue(const Value& value);
// ==; never fails.
bool Equal(const Value& a, const Value& b);
// -1, 0 or 1. Throws Failure for values that have no order.
int Order(const Value& a, const Value& b);
// The entry of a dict, or null.
const Value* FindEntry(const Dict& dict, const Value& key);
const Value* FindEntry(const Dict& dict, std::string_view key);
// About how many values one has to look at to compare or to print it.
int64_t Weight(const Value& value);
// Whether a dict may have it as a key.
bool IsHashable(const Value& value);

// A value of JSON. Texts, keys included, are `from_input`, but for those that
// `is_word` (given the name of the member and the text) takes for words of the
// program's own. Throws Failure for numbers that 64 bits do not hold.
Value FromJson(const formats::Json& json, bool from_input,
               const std::function<bool(std::string_view, std::string_view)>&
                   is_word = nullptr);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_VALUE_H_
