#include "serve/access.h"

#include <algorithm>
#include <cctype>

#include "base/sha256.h"
#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

// Equal lengths; looks at every byte.
bool SameBytes(const std::string& a, const std::string& b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

std::string AuthorityOf(const std::string& origin) {
  const size_t scheme = origin.find("://");
  return scheme == std::string::npos ? origin : origin.substr(scheme + 3);
}

}  // namespace

bool IsLoopback(const std::string& host) {
  std::string name = host;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  if (name.starts_with("[")) {
    const size_t end = name.find(']');
    return name.substr(0, end == std::string::npos ? end : end + 1) == "[::1]";
  }
  name = name.substr(0, name.find(':'));
  if (name == "localhost") return true;
  if (!name.starts_with("127.")) return false;
  // A number, not a name that begins like one.
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isdigit(c) != 0 || c == '.';
  });
}

Access::Access(const AccessOptions& options) : options_(options) {
  for (const std::string& key : options_.keys) digests_.push_back(Sha256(key));
}

// Digests have one length, so that time tells nothing of a key's.
bool Access::Knows(const std::string& key) const {
  const std::string digest = Sha256(key);
  bool known = false;
  for (const std::string& each : digests_) known |= SameBytes(digest, each);
  return known;
}

bool Access::Allows(const std::string& origin) const {
  return std::any_of(options_.origins.begin(), options_.origins.end(),
                     [&](const std::string& allowed) {
                       return allowed == "*" || allowed == origin;
                     });
}

void Access::Check(const Sender& sender) const {
  if (options_.loopback && !IsLoopback(sender.host)) {
    throw ApiError(403,
                   "this server listens on this machine alone and is asked as "
                   "localhost or 127.0.0.1; start it with --host to be asked "
                   "by another name");
  }
  if (!sender.origin.empty() && AuthorityOf(sender.origin) != sender.host &&
      !Allows(sender.origin)) {
    throw ApiError(403,
                   "pages of other origins may not ask this server; start it "
                   "with --cors ORIGIN to allow one");
  }
  if (digests_.empty() || sender.method == "OPTIONS" || sender.path == "/" ||
      sender.path == "/health") {
    return;
  }
  constexpr char kBearer[] = "Bearer ";
  std::string key = sender.api_key;
  if (sender.authorization.starts_with(kBearer)) {
    key = sender.authorization.substr(sizeof kBearer - 1);
  }
  if (!Knows(key)) {
    throw ApiError(401,
                   "a key is needed: send it as \"Authorization: Bearer KEY\"",
                   {}, "invalid_api_key");
  }
}

}  // namespace ropewalk::serve
