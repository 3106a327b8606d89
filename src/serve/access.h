// Who may ask: keys, origins and hosts.

#ifndef ROPEWALK_SERVE_ACCESS_H_
#define ROPEWALK_SERVE_ACCESS_H_

#include <string>
#include <vector>

namespace ropewalk::serve {

struct AccessOptions {
  std::vector<std::string> keys;     // none: anybody may ask
  std::vector<std::string> origins;  // pages elsewhere that may; "*": all
  bool loopback = true;              // the server listens on loopback alone
};

// What a request says of its sender.
struct Sender {
  std::string method;
  std::string path;
  std::string authorization;  // the header
  std::string api_key;        // the header x-api-key
  std::string origin;         // empty: none
  std::string host;
};

class Access {
 public:
  explicit Access(const AccessOptions& options);

  // Throws ApiError: 403 for pages of other origins, and for other names than
  // loopback's where the server listens there alone (a name that somebody
  // points at 127.0.0.1 would let any page in); 401 for a wrong key. The page
  // itself and /health need no key. Keys are compared in a time that does not
  // depend on them.
  void Check(const Sender& sender) const;

  // Whether pages of `origin` may read answers.
  bool Allows(const std::string& origin) const;

 private:
  bool Knows(const std::string& key) const;

  AccessOptions options_;
  std::vector<std::string> digests_;  // SHA-256 of the keys
};

// Whether `host` (a Host header) names this machine: localhost, 127.x.x.x,
// [::1], with any port.
bool IsLoopback(const std::string& host);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_ACCESS_H_
