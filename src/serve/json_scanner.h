// Finds the end of a JSON value in a text that comes in pieces, and tells at
// the first byte that it cannot be one.

#ifndef ROPEWALK_SERVE_JSON_SCANNER_H_
#define ROPEWALK_SERVE_JSON_SCANNER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::serve {

// Reads one object, or an array of objects. The members of that object, or of
// those in the array, may have the names in `names` alone: so a text that is
// JSON of another kind is known for it early. How numbers are written is not
// checked. Borrows the names.
class JsonScanner {
 public:
  enum class Result { kMore, kWhole, kWrong };

  explicit JsonScanner(const std::vector<std::string_view>& names)
      : names_(&names) {}

  // The value goes on with this byte. After kWhole and kWrong there is no more.
  Result Feed(char c);

 private:
  enum class Expect {
    kValue,
    kValueOrEnd,  // behind [
    kName,
    kNameOrEnd,  // behind {
    kColon,
    kCommaOrEnd,
  };
  enum class Inside { kNothing, kString, kEscape, kNumber, kWord };

  Result FeedString(char c);
  Result FeedWord(char c);
  Result FeedToken(char c);
  Result Begin(char c);
  Result Open(char c);
  Result Close(char c);
  Result EndString();
  // Within an object whose names are bound.
  bool IsBound() const;

  const std::vector<std::string_view>* names_;
  std::string open_;  // the brackets that are open
  Expect expect_ = Expect::kValue;
  Inside inside_ = Inside::kNothing;
  bool is_name_ = false;  // the string at hand
  std::string name_;
  std::string_view word_;  // what is left of true, false or null
  int hex_digits_ = 0;     // of \u that are still to come
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_JSON_SCANNER_H_
