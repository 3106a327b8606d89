// The server: an OpenAI-compatible API over one model, with a page.
//
// Files, from the outside in: service.h (endpoints), http_server.h and
// connection.h (bounds on what comes in), access.h (who may ask), request.h
// (bodies to one form), worker.h (the thread that owns the model), batch and
// session_store.h (what requests share), saved_texts.h (what survives a
// restart), documents.h (memories), reply.h (events to what is sent). The
// folder uses the library as any program does, by include/ropewalk/.

#ifndef ROPEWALK_SERVE_SERVICE_H_
#define ROPEWALK_SERVE_SERVICE_H_

#include <ropewalk/model.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/access.h"
#include "serve/documents.h"
#include "serve/http_server.h"
#include "serve/metrics.h"
#include "serve/reply.h"
#include "serve/request.h"
#include "serve/worker.h"

namespace ropewalk::serve {

struct ServiceOptions {
  HttpOptions http;
  AccessOptions access;
  WorkerOptions worker;
  DocumentOptions documents;
  std::string alias;  // the model's name in the API; empty: its own
  std::chrono::milliseconds grace{10'000};  // for answers, at the end
  std::function<void(const std::string&)>
      log;  // a line a request; may be empty
};

class Service {
 public:
  // Throws IoError where the port is taken, and like Worker and Documents.
  Service(const Model& model, ServiceOptions options);
  ~Service();

  int port() const { return port_; }
  const Worker& worker() const { return worker_; }

  // Serves until Stop was called by another thread, and then until all
  // answers have ended or the grace is over.
  void Serve();
  void Stop();

 private:
  using HttpRequest = httplib::Request;
  using Response = httplib::Response;
  using Handler = std::function<void(const HttpRequest&, Response&)>;

  void Route();
  void Get(const std::string& path, Handler handler);
  void Post(const std::string& path, Handler handler);
  Handler Guarded(Handler handler);
  void Send(const ApiError& error, Response& response);

  void Generate(Endpoint endpoint, const HttpRequest& request,
                Response& response);
  std::shared_ptr<Job> JobOf(Request request,
                             std::vector<std::string>& prompts) const;
  void SendStream(std::shared_ptr<Job> job, std::shared_ptr<Reply> reply,
                  Event first, Response& response);
  void SendWhole(Job& job, Reply& reply, Event event, Response& response);
  std::optional<Event> NextEvent(Job& job) const;
  std::shared_ptr<void> OpenStream();

  void Models(const HttpRequest& request, Response& response);
  void Positions(Response& response);
  void ResolvePosition(const HttpRequest& request, Response& response);
  void Tokenize(const HttpRequest& request, Response& response);
  void Detokenize(const HttpRequest& request, Response& response);
  void Slots(Response& response);
  void ListFiles(Response& response);
  void UploadFile(const HttpRequest& request, Response& response);

  Model model_;
  ServiceOptions options_;
  std::string name_;
  bool chats_ = false;
  Metrics metrics_;
  Documents documents_;
  Worker worker_;
  Access access_;
  HttpServer http_;
  int port_ = 0;
  int64_t started_ = 0;
  std::atomic<int64_t> streams_ = 0;  // that are being sent
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_SERVICE_H_
