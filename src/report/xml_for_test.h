// A small strict XML reader for tests, which refuses errors that a browser
// would forgive.

#ifndef ROPEWALK_REPORT_XML_FOR_TEST_H_
#define ROPEWALK_REPORT_XML_FOR_TEST_H_

#include <cctype>
#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace ropewalk::report {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // directly inside
};

// All elements of `xml`, in the order of their opening tags, with entities
// unchanged. Throws std::runtime_error if the text is not well formed.
class XmlReader {
 public:
  static std::vector<XmlElement> Read(std::string_view xml) {
    return XmlReader(xml).ReadAll();
  }

 private:
  explicit XmlReader(std::string_view xml) : xml_(xml) {}

  std::vector<XmlElement> ReadAll() {
    Expect(!FindInvalidUtf8(xml_), "well-formed UTF-8");
    for (const char c : xml_) {
      const auto byte = static_cast<unsigned char>(c);
      Expect(byte >= 0x20 || c == '\n' || c == '\t', "no control characters");
    }
    if (xml_.starts_with("<!DOCTYPE html>\n")) at_ = 16;
    std::vector<size_t> open;
    do {
      if (Peek() != '<') {
        elements_[open.back()].text += ReadText("<");
      } else if (xml_.substr(at_, 2) == "</") {
        at_ += 2;
        Expect(ReadName() == elements_[open.back()].name, "a matching end tag");
        Take('>');
        open.pop_back();
      } else if (ReadTag()) {
        open.push_back(elements_.size() - 1);
      }
    } while (!open.empty());
    Expect(xml_.substr(at_) == "\n", "one root element and a line end");
    return elements_;
  }

  // Returns true if the element stays open.
  bool ReadTag() {
    Take('<');
    XmlElement element = {ReadName()};
    while (Peek() == ' ') {
      ++at_;
      const std::string name = ReadName();
      Take('=');
      Take('"');
      const std::string value = ReadText("\"");
      Take('"');
      Expect(element.attributes.emplace(name, value).second,
             "each attribute once");
    }
    elements_.push_back(element);
    const bool is_empty = Peek() == '/';
    if (is_empty) ++at_;
    Take('>');
    return !is_empty;
  }

  std::string ReadName() {
    const size_t begin = at_;
    while (std::isalnum(static_cast<unsigned char>(Peek())) != 0 ||
           Peek() == '-') {
      ++at_;
    }
    Expect(at_ > begin, "a name");
    return std::string(xml_.substr(begin, at_ - begin));
  }

  std::string ReadText(std::string_view until) {
    const std::set<std::string_view> known = {"&amp;", "&lt;", "&gt;", "&quot;",
                                              "&#39;"};
    const size_t begin = at_;
    while (until.find(Peek()) == std::string_view::npos) {
      Expect(Peek() != '<', "no bare <");
      if (Peek() == '&') {
        const size_t end = xml_.find(';', at_);
        Expect(end != std::string_view::npos &&
                   known.count(xml_.substr(at_, end + 1 - at_)) == 1,
               "a known entity");
      }
      ++at_;
    }
    return std::string(xml_.substr(begin, at_ - begin));
  }

  char Peek() const {
    Expect(at_ < xml_.size(), "more text");
    return xml_[at_];
  }

  void Take(char c) {
    Expect(Peek() == c, std::string("'") + c + "'");
    ++at_;
  }

  void Expect(bool holds, const std::string& what) const {
    if (holds) return;
    throw std::runtime_error(
        "expected " + what + " at byte " + std::to_string(at_) + ": " +
        std::string(xml_.substr(at_ < 30 ? 0 : at_ - 30, 60)));
  }

  std::string_view xml_;
  size_t at_ = 0;
  std::vector<XmlElement> elements_;
};

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_XML_FOR_TEST_H_
