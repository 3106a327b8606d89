// Position schemes: by which distances a model sees its text.
//
//   Scheme()                                  the choice is the library's
//   Scheme::Parse("rope")                     the model's own law
//   Scheme::Parse("rerope:window=1024+logn-clip")
//   Scheme::Parse("@layers.toml")             one spelling a layer
//
// A spelling is name[:key=value[,key=value]...], then any of +logn[:base=LEN],
// +logn-clip, +logn-learned, then @all. Values are integers, decimals or
// fractions (k=1/16); lengths take the suffix k for 1024. What a spelling
// leaves out is filled in from the model and the length: Model::Resolve shows
// it. A scheme changes the layers that read the whole text; with @all also
// those that have a window of their own.
//
// Stable: the spellings. A scheme whose defaults change gets another name.

#ifndef ROPEWALK_SCHEME_H_
#define ROPEWALK_SCHEME_H_

#include <ropewalk/export.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

// A value: copies are cheap and independent. Immutable but for assignment: any
// number of threads may read one object at a time.
class ROPEWALK_EXPORT Scheme {
 public:
  // `auto`: the model's own law for as long as that is not known to fail,
  // ReRoPE with a far offset beyond.
  Scheme();

  // Throws std::invalid_argument, with the reason, for an unknown name or key,
  // a value that the key does not allow, and a file of layers that cannot be
  // read.
  static Scheme Parse(std::string_view spelling);

  Scheme(const Scheme&);
  Scheme(Scheme&&) noexcept;
  Scheme& operator=(const Scheme&);
  Scheme& operator=(Scheme&&) noexcept;
  ~Scheme();

  // The canonical spelling: Parse of it gives an equal scheme.
  std::string ToString() const;
  bool is_auto() const;

 private:
  friend class Model;
  friend class Session;
  struct Parts;

  explicit Scheme(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;
};

// Equal canonical spellings.
ROPEWALK_EXPORT bool operator==(const Scheme& a, const Scheme& b);

struct SchemeParameter {
  std::string name;     // "window"
  std::string meaning;  // one line, with the default
};

struct SchemeInfo {
  std::string name;     // "rerope"
  std::string summary;  // one line
  std::string source;   // the post or paper it is from
  std::vector<SchemeParameter> parameters;
};

// Every scheme there is, `auto` and files of layers apart.
ROPEWALK_EXPORT std::vector<SchemeInfo> ListSchemes();

}  // namespace ropewalk

#endif  // ROPEWALK_SCHEME_H_
