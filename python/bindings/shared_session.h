// A session that notices when two threads use it at once, and that ends its
// generation when something else is asked of it.

#ifndef ROPEWALK_PYTHON_SHARED_SESSION_H_
#define ROPEWALK_PYTHON_SHARED_SESSION_H_

#include <ropewalk/session.h>

#include <memory>
#include <mutex>
#include <utility>

namespace ropewalk::python {

class Generation;

class SharedSession {
 public:
  explicit SharedSession(Session session) : session_(std::move(session)) {}

  // The session, for as long as this lives.
  class Use {
   public:
    Use(Session& session, std::unique_lock<std::mutex> lock)
        : session_(session), lock_(std::move(lock)) {}
    Session& operator*() const { return session_; }
    Session* operator->() const { return &session_; }

   private:
    Session& session_;
    std::unique_lock<std::mutex> lock_;
  };

  // Without the GIL. Both throw std::runtime_error while another call uses the
  // session. Change ends a generation that has not ended; Look leaves it.
  Use Change();
  Use Look();

  // For the thread of a generation, while one that holds a Use waits for it.
  Session& Stepped() { return session_; }

  // That which the next Change ends.
  void SetGeneration(const std::shared_ptr<Generation>& generation) {
    generation_ = generation;
  }

 private:
  std::mutex mutex_;
  Session session_;
  std::weak_ptr<Generation> generation_;
};

}  // namespace ropewalk::python

#endif  // ROPEWALK_PYTHON_SHARED_SESSION_H_
