// A string that remembers which of its parts came in from outside.
//
// A chat template writes marks such as <|im_start|> that become single tokens;
// the same characters in a user's message must stay plain text. So each part of
// a string knows whether the template wrote it or a variable brought it in, and
// keeps that through everything a template does with strings.

#ifndef ROPEWALK_JINJA_TEXT_H_
#define ROPEWALK_JINJA_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ropewalk::jinja {

// A part of one origin.
struct Piece {
  std::string text;
  bool from_input = false;  // else the template's own

  bool operator==(const Piece&) const = default;
};

// UTF-8. Positions are bytes.
class Text {
 public:
  Text() = default;
  Text(std::string_view bytes, bool from_input) { Append(bytes, from_input); }

  const std::string& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }

  // Whether the byte at `at` < size() came from the input.
  bool IsInput(size_t at) const;
  // Whether any byte did.
  bool HasInput() const;

  // The bytes [begin, end).
  Text Slice(size_t begin, size_t end) const;
  Text From(size_t begin) const { return Slice(begin, size()); }

  void Append(std::string_view bytes, bool from_input);
  void Append(const Text& other) { Append(other, 0, other.size()); }
  void Append(const Text& other, size_t begin, size_t end);

  // What |safe and |escape return. Other text is escaped for HTML when `+`
  // joins it with such text; every other change makes plain text of it.
  bool is_markup() const { return is_markup_; }
  Text AsMarkup() && {
    is_markup_ = true;
    return std::move(*this);
  }

  // Neighbouring pieces differ in origin; none is empty.
  std::vector<Piece> Pieces() const;

 private:
  struct Run {
    size_t end = 0;
    bool from_input = false;
  };
  // The first run that ends behind `at`.
  std::vector<Run>::const_iterator RunAt(size_t at) const;

  std::string bytes_;
  std::vector<Run> runs_;  // neighbours differ in origin
  bool is_markup_ = false;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_TEXT_H_
