// Filters over lists and dicts.

#include <algorithm>
#include <utility>

#include "jinja/arguments.h"
#include "jinja/attribute_path.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/registry.h"
#include "jinja/rendering.h"

namespace ropewalk::jinja {
namespace {

Value Length(Rendering&, const Value& value, const Arguments& arguments) {
  BoundArguments("length", arguments, {});
  return Value::Of(LengthOf(value));
}

Value First(Rendering& rendering, const Value& value,
            const Arguments& arguments) {
  BoundArguments("first", arguments, {});
  const Value missing = Value::Missing("there is no first item");
  if (value.IsList(ListKind::kGenerator)) {
    List& list = value.AsList();
    return list.taken < list.items.size() ? list.items[list.taken++] : missing;
  }
  if (value.IsText()) {
    auto character = CharacterOf(value.AsText(), 0);
    return character ? rendering.Keep(*std::move(character)) : missing;
  }
  const std::vector<Value> items = rendering.Items(value);
  return items.empty() ? missing : items.front();
}

Value Last(Rendering& rendering, const Value& value,
           const Arguments& arguments) {
  BoundArguments("last", arguments, {});
  if (value.IsList(ListKind::kGenerator)) {
    throw Failure("a generator has no last item; |list gives it one");
  }
  const std::vector<Value> items = rendering.Items(value);
  return items.empty() ? Value::Missing("there is no last item") : items.back();
}

Value JoinFilter(Rendering& rendering, const Value& value,
                 const Arguments& arguments) {
  const BoundArguments bound("join", arguments, {"d", "attribute"});
  const Text separator =
      bound.Find(0) != nullptr ? ToText(rendering, *bound.Find(0)) : Text();
  Text joined;
  bool first = true;
  for (const Value& item : rendering.Items(value)) {
    const Text part =
        ToText(rendering,
               bound.Has(1) ? GetPath(rendering, item, *bound.Find(1)) : item);
    rendering.SpendBytes(separator.size() + part.size());
    if (!std::exchange(first, false)) joined.Append(separator);
    joined.Append(part);
  }
  return rendering.Keep(std::move(joined));
}

Value ListFilter(Rendering& rendering, const Value& value,
                 const Arguments& arguments) {
  BoundArguments("list", arguments, {});
  return rendering.Keep(rendering.Items(value));
}

Value Reverse(Rendering& rendering, const Value& value,
              const Arguments& arguments) {
  BoundArguments("reverse", arguments, {});
  if (value.IsText()) {
    return Slice(rendering, value, {}, {}, Value::Of(int64_t{-1}));
  }
  const bool generator = value.IsList(ListKind::kGenerator);
  std::vector<Value> items = rendering.Items(value);
  std::reverse(items.begin(), items.end());
  return rendering.Keep(std::move(items),
                        generator ? ListKind::kList : ListKind::kGenerator);
}

// Values with what they are sorted by, in order.
using Keyed = std::vector<std::pair<Value, Value>>;

void SortByKey(Rendering& rendering, Keyed& keyed, bool reverse) {
  rendering.Spend(static_cast<int64_t>(keyed.size()) * 4);
  for (const auto& entry : keyed) rendering.SpendOn(entry.first, 20);
  // Python keeps the order of equals when it sorts backwards, too.
  std::stable_sort(keyed.begin(), keyed.end(),
                   [reverse](const auto& a, const auto& b) {
                     return reverse ? Order(b.first, a.first) < 0
                                    : Order(a.first, b.first) < 0;
                   });
}

std::vector<Value> ValuesOf(const Keyed& keyed) {
  std::vector<Value> values;
  for (const auto& entry : keyed) values.push_back(entry.second);
  return values;
}

Value Sort(Rendering& rendering, const Value& value,
           const Arguments& arguments) {
  const BoundArguments bound("sort", arguments,
                             {"reverse", "case_sensitive", "attribute"});
  Keyed keyed;
  for (const Value& item : rendering.Items(value)) {
    keyed.emplace_back(
        SortKey(rendering, item, bound.Find(2), bound.IsTrue(1, false)), item);
  }
  SortByKey(rendering, keyed, bound.IsTrue(0, false));
  return rendering.Keep(ValuesOf(keyed));
}

Value DictSort(Rendering& rendering, const Value& value,
               const Arguments& arguments) {
  const BoundArguments bound("dictsort", arguments,
                             {"case_sensitive", "by", "reverse"});
  const std::string by =
      bound.Find(1) != nullptr ? bound.AsText(1).bytes() : "key";
  if (by != "key" && by != "value") {
    throw Failure("'dictsort' sorts by key or value");
  }
  if (!value.IsDict()) {
    throw Failure(value.IsUndefined()
                      ? value.WhatIsMissing()
                      : "'dictsort' takes a dict, not a " + TypeName(value));
  }
  Keyed keyed;
  for (const auto& [key, item] : value.AsDict().entries) {
    keyed.emplace_back(SortKey(rendering, by == "key" ? key : item, nullptr,
                               bound.IsTrue(0, false)),
                       rendering.Keep({key, item}, ListKind::kTuple));
  }
  SortByKey(rendering, keyed, bound.IsTrue(2, false));
  return rendering.Keep(ValuesOf(keyed));
}

Value ItemsFilter(Rendering& rendering, const Value& value,
                  const Arguments& arguments) {
  BoundArguments("items", arguments, {});
  std::vector<Value> items;
  if (!value.IsUndefined()) {
    if (!value.IsDict()) {
      throw Failure("'items' takes a dict, not a " + TypeName(value));
    }
    for (const auto& [key, item] : value.AsDict().entries) {
      items.push_back(rendering.Keep({key, item}, ListKind::kTuple));
    }
  }
  return rendering.Keep(std::move(items), ListKind::kGenerator);
}

Value Unique(Rendering& rendering, const Value& value,
             const Arguments& arguments) {
  const BoundArguments bound("unique", arguments,
                             {"case_sensitive", "attribute"});
  std::vector<Value> seen, unique;
  for (const Value& item : rendering.Items(value)) {
    const Value path =
        bound.Has(1) ? GetPath(rendering, item, *bound.Find(1)) : item;
    Value key = SortKey(rendering, path, nullptr, bound.IsTrue(0, false));
    if (!IsHashable(key)) {
      throw Failure("'unique' takes no " + TypeName(key));
    }
    rendering.Spend(static_cast<int64_t>(seen.size()) / 4);
    rendering.SpendOn(key, static_cast<int64_t>(seen.size()));
    const bool known =
        std::any_of(seen.begin(), seen.end(),
                    [&](const Value& other) { return Equal(other, key); });
    if (known) continue;
    seen.push_back(std::move(key));
    unique.push_back(item);
  }
  return rendering.Keep(std::move(unique), ListKind::kGenerator);
}

// The least item (-1) or the largest (1).
template <int kSign>
Value Extreme(Rendering& rendering, const Value& value,
              const Arguments& arguments) {
  const BoundArguments bound("min", arguments, {"case_sensitive", "attribute"});
  const std::vector<Value> items = rendering.Items(value);
  if (items.empty()) return Value::Missing("there is no item");
  const auto key_of = [&](const Value& item) {
    const Value path =
        bound.Has(1) ? GetPath(rendering, item, *bound.Find(1)) : item;
    return SortKey(rendering, path, nullptr, bound.IsTrue(0, false));
  };
  Value best = items[0];
  Value best_key = key_of(best);
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = key_of(items[i]);
    rendering.SpendOn(key);
    if (Order(key, best_key) != kSign) continue;
    best = items[i];
    best_key = std::move(key);
  }
  return best;
}

Value Sum(Rendering& rendering, const Value& value,
          const Arguments& arguments) {
  const BoundArguments bound("sum", arguments, {"attribute", "start"});
  Value sum = bound.Get(1, Value::Of(int64_t{0}));
  if (sum.IsText()) throw Failure("'sum' takes no texts");
  for (const Value& item : rendering.Items(value)) {
    rendering.Spend(1);
    const Value part =
        bound.Has(0) ? GetPath(rendering, item, *bound.Find(0)) : item;
    sum = Compute(rendering, "+", sum, part);
  }
  return sum;
}

Value Batch(Rendering& rendering, const Value& value,
            const Arguments& arguments) {
  const BoundArguments bound("batch", arguments, {"linecount", "fill_with"}, 1);
  const int64_t size = bound.Integer(0, 0);
  std::vector<Value> batches, batch;
  const auto put = [&] {
    batches.push_back(rendering.Keep(std::exchange(batch, {})));
  };
  for (const Value& item : rendering.Items(value)) {
    if (static_cast<int64_t>(batch.size()) == size) put();
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (bound.Has(1) && static_cast<int64_t>(batch.size()) < size) {
      rendering.Spend(std::min<int64_t>(size, int64_t{1} << 40));
      batch.resize(static_cast<size_t>(size), *bound.Find(1));
    }
    put();
  }
  return rendering.Keep(std::move(batches), ListKind::kGenerator);
}

Value SliceFilter(Rendering& rendering, const Value& value,
                  const Arguments& arguments) {
  const BoundArguments bound("slice", arguments, {"slices", "fill_with"}, 1);
  const std::vector<Value> items = rendering.Items(value);
  const int64_t count = bound.Integer(0, 0);
  if (count == 0) throw Failure("'slice' takes at least one slice");
  rendering.Spend(
      std::min<int64_t>(std::max<int64_t>(count, 0), int64_t{1} << 40));
  const auto size = static_cast<int64_t>(items.size());
  std::vector<Value> slices;
  auto at = items.begin();
  for (int64_t i = 0; i < count; ++i) {
    const bool extra = i < size % count;
    const auto end = at + (size / count + (extra ? 1 : 0));
    std::vector<Value> slice(at, end);
    if (bound.Has(1) && !extra) slice.push_back(*bound.Find(1));
    slices.push_back(rendering.Keep(std::move(slice)));
    at = end;
  }
  return rendering.Keep(std::move(slices), ListKind::kGenerator);
}

Value Default(Rendering&, const Value& value, const Arguments& arguments) {
  const BoundArguments bound("default", arguments,
                             {"default_value", "boolean"});
  const bool missing =
      value.IsUndefined() || (bound.IsTrue(1, false) && !IsTrue(value));
  return missing ? bound.Get(0, Value::Of("")) : value;
}

// The filter attr: members of objects, never entries of a dict.
Value Attr(Rendering& rendering, const Value& value,
           const Arguments& arguments) {
  const BoundArguments bound("attr", arguments, {"name"}, 1);
  const std::string& name = bound.AsText(0).bytes();
  if (value.IsUndefined() || value.IsNamespace() || value.IsLoop()) {
    return rendering.Attribute(value, name);
  }
  auto method = FindMethod(value, name);
  return method ? *std::move(method)
                : Value::Missing("a " + TypeName(value) + " has no '" + name +
                                 "'");
}

}  // namespace

std::vector<FilterEntry> SequenceFilters() {
  return {{"length", Length},     {"count", Length},    {"first", First},
          {"last", Last},         {"join", JoinFilter}, {"list", ListFilter},
          {"reverse", Reverse},   {"sort", Sort},       {"dictsort", DictSort},
          {"items", ItemsFilter}, {"unique", Unique},   {"min", Extreme<-1>},
          {"max", Extreme<1>},    {"sum", Sum},         {"batch", Batch},
          {"slice", SliceFilter}, {"default", Default}, {"d", Default},
          {"attr", Attr}};
}

}  // namespace ropewalk::jinja
