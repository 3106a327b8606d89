// Many strings in one block of memory.
//
// A vocabulary has up to 262144 short strings: as std::string each costs 32
// bytes and often an allocation, here its bytes and 8 more, and a copy of all
// of them is two copies of memory.

#ifndef ROPEWALK_BASE_STRING_LIST_H_
#define ROPEWALK_BASE_STRING_LIST_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// Strings in order; they cannot be changed, only added. A view from it lives
// until the next Add.
class StringList {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    Iterator(const StringList* list, size_t i) : list_(list), i_(i) {}
    std::string_view operator*() const { return (*list_)[i_]; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    Iterator operator++(int) { return {list_, i_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const StringList* list_;
    size_t i_;
  };

  StringList() = default;
  StringList(std::initializer_list<std::string_view> strings) {
    for (const std::string_view text : strings) Add(text);
  }
  explicit StringList(const std::vector<std::string>& strings) {
    Reserve(strings.size(), 0);
    for (const std::string& text : strings) Add(text);
  }

  void Reserve(size_t strings, size_t bytes) {
    ends_.reserve(strings);
    bytes_.reserve(bytes);
  }
  void Add(std::string_view text) {
    bytes_ += text;
    ends_.push_back(bytes_.size());
  }

  size_t size() const { return ends_.size(); }
  bool empty() const { return ends_.empty(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {bytes_.data() + begin, ends_[i] - begin};
  }
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

  bool operator==(const StringList&) const = default;

 private:
  std::string bytes_;
  std::vector<size_t> ends_;  // in bytes_
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_STRING_LIST_H_
