#include "serve/service.h"

#include <ropewalk/error.h>
#include <ropewalk/scheme.h>
#include <ropewalk/version.h>

#include <charconv>
#include <cstdio>
#include <ctime>
#include <exception>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/text.h"
#include "serve/api_error.h"
#include "serve/page.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMostPathBytes = 512;
// For clients to take what was written for them.
constexpr std::chrono::seconds kLastWords{5};
constexpr char kJson[] = "application/json";

// The last part of a path, for a model's name in the API.
std::string PlainName(const std::string& name) {
  const size_t slash = name.find_last_of('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

Json ToJson(const DocumentInfo& info) {
  Json json = {{"id", info.id},
               {"object", "file"},
               {"filename", info.name},
               {"bytes", info.bytes},
               {"created_at", info.created},
               {"purpose", "memory"},
               {"status", info.status},
               {"ropewalk", {{"tokens", info.tokens}, {"read", info.read}}}};
  if (!info.error.empty()) json["status_details"] = info.error;
  return json;
}

Json ToJson(const Slot& slot, int64_t id) {
  return {{"id", id},
          {"state", slot.state},
          {"is_processing", slot.state != "waiting"},
          {"scheme", slot.scheme},
          {"n_ctx", slot.context},
          {"prompt_tokens", slot.prompt},
          {"read_tokens", slot.read},
          {"reused_tokens", slot.reused},
          {"generated_tokens", slot.generated},
          {"seconds", slot.seconds}};
}

void SetJson(httplib::Response& response, const Json& json) {
  response.set_content(Dump(json), kJson);
}

int64_t NumberOf(const std::string& text, const char* field) {
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 ||
      value > int64_t{1} << 30) {
    throw ApiError(400,
                   std::string(field) +
                       " must be a number from 1 to 2^30, got "
                       "'" +
                       Printable(text, 40) + "'",
                   field);
  }
  return value;
}

}  // namespace

Service::Service(const Model& model, ServiceOptions options)
    : model_(model),
      options_(std::move(options)),
      name_(PlainName(options_.alias.empty() ? model.name() : options_.alias)),
      documents_(model, options_.documents),
      worker_(model, options_.worker, metrics_),
      access_(options_.access),
      http_(options_.http),
      started_(std::time(nullptr)) {
  try {
    (void)model_.chat_form();
    chats_ = true;
  } catch (const FormatError&) {
    chats_ = false;  // a base model
  }
  Route();
  port_ = http_.Bind();
}

Service::~Service() { Stop(); }

void Service::Serve() {
  if (!http_.stopping()) http_.Serve();
}

void Service::Stop() {
  if (http_.stopping()) return;
  // First the answers in progress, then the streams that tell them, then the
  // connections.
  worker_.Stop(options_.grace);
  const auto until = std::chrono::steady_clock::now() + kLastWords;
  while (streams_ > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  http_.Stop();
}

void Service::Send(const ApiError& error, httplib::Response& response) {
  response.status = error.status();
  ++(error.status() < 500 ? metrics_.refused : metrics_.failed);
  if (error.status() == 401) {
    response.set_header("WWW-Authenticate", "Bearer");
  }
  if (error.status() == 429 || error.status() == 503) {
    response.set_header("Retry-After", "1");
  }
  response.set_content(Dump(ErrorJson(error)), kJson);
}

// What a handler throws becomes an answer.
Service::Handler Service::Guarded(Handler handler) {
  return [this, handler = std::move(handler)](const httplib::Request& request,
                                              httplib::Response& response) {
    try {
      handler(request, response);
    } catch (const ApiError& error) {
      Send(error, response);
    } catch (const std::bad_alloc&) {
      Send(ApiError(503, "out of memory"), response);
    } catch (const std::exception& error) {
      Send(ApiError(500, error.what()), response);
    }
  };
}

void Service::Get(const std::string& path, Handler handler) {
  http_.Get(path, Guarded(std::move(handler)));
}

void Service::Post(const std::string& path, Handler handler) {
  http_.Post(path, Guarded(std::move(handler)));
}

void Service::Route() {
  using httplib::Server;
  // Before a body is read. What is refused here closes its connection, since
  // the body still stands in it.
  http_.set_pre_routing_handler([this](const httplib::Request& request,
                                       httplib::Response& response) {
    const std::string origin = request.get_header_value("Origin");
    if (!origin.empty() && access_.Allows(origin)) {
      response.set_header("Access-Control-Allow-Origin", origin);
      response.set_header("Vary", "Origin");
      response.set_header("Access-Control-Allow-Headers",
                          "Authorization, Content-Type, X-Api-Key");
      response.set_header("Access-Control-Allow-Methods",
                          "GET, POST, DELETE, OPTIONS");
    }
    try {
      if (request.path.size() > kMostPathBytes) {
        throw ApiError(414, "the path of the request is too long");
      }
      access_.Check({.method = request.method,
                     .path = request.path,
                     .authorization = request.get_header_value("Authorization"),
                     .api_key = request.get_header_value("X-Api-Key"),
                     .origin = origin,
                     .host = request.get_header_value("Host")});
      if (request.has_header("Content-Encoding")) {
        throw ApiError(415, "bodies must not be compressed");
      }
      if (!request.ranges.empty()) {
        throw ApiError(416, "ranges of a resource are not served");
      }
      const std::string length = request.get_header_value("Content-Length");
      if (length.size() > 18 ||
          (!length.empty() && std::strtoll(length.c_str(), nullptr, 10) >
                                  options_.http.limits.body_bytes)) {
        throw ApiError(
            413, "the body is larger than the " +
                     std::to_string(options_.http.limits.body_bytes >> 20) +
                     " MiB that this server takes");
      }
    } catch (const ApiError& error) {
      Send(error, response);
      response.set_header("Connection", "close");
      if (Connection* connection = Connection::Current()) {
        connection->CloseAfterResponse();
      }
      return Server::HandlerResponse::Handled;
    }
    if (request.method == "OPTIONS") {
      response.status = 204;
      return Server::HandlerResponse::Handled;
    }
    return Server::HandlerResponse::Unhandled;
  });
  const Server::HandlerWithResponse explain =
      [](const httplib::Request& request, httplib::Response& response) {
        if (!response.body.empty() || response.status < 400) {
          return Server::HandlerResponse::Unhandled;
        }
        const std::string what =
            response.status == 404 ? "there is no " + request.method + " " +
                                         Printable(request.path, 100) + " here"
            : response.status == 413 ? "the body of the request is too large"
                                     : "the request is not valid HTTP";
        response.set_content(Dump(ErrorJson(ApiError(response.status, what))),
                             kJson);
        return Server::HandlerResponse::Handled;
      };
  http_.set_error_handler(explain);
  http_.set_exception_handler([this](const httplib::Request&,
                                     httplib::Response& response,
                                     const std::exception_ptr&) {
    Send(ApiError(500, "the request could not be handled"), response);
  });
  if (options_.log) {
    http_.set_logger([this](const httplib::Request& request,
                            const httplib::Response& response) {
      options_.log(request.remote_addr + " " + request.method + " " +
                   Printable(request.path, 100) + " " +
                   std::to_string(response.status));
    });
  }

  const auto generate = [this](Endpoint endpoint) {
    return [this, endpoint](const httplib::Request& request,
                            httplib::Response& response) {
      Generate(endpoint, request, response);
    };
  };
  Post("/v1/chat/completions", generate(Endpoint::kChat));
  Post("/v1/completions", generate(Endpoint::kCompletion));
  Post("/v1/responses", generate(Endpoint::kResponse));
  // Clients whose base address lacks /v1.
  Post("/chat/completions", generate(Endpoint::kChat));
  Post("/completions", generate(Endpoint::kCompletion));

  Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Content-Security-Policy",
                        "default-src 'self'; style-src 'unsafe-inline'; "
                        "script-src 'unsafe-inline'; img-src data: 'self'; "
                        "frame-ancestors 'none'; base-uri 'none'");
    response.set_header("X-Content-Type-Options", "nosniff");
    response.set_header("Cache-Control", "no-cache");
    response.set_content(std::string(kPage), "text/html; charset=utf-8");
  });
  Get("/health", [](const httplib::Request&, httplib::Response& response) {
    SetJson(response, {{"status", "ok"}});
  });
  Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_.ToText(), "text/plain; version=0.0.4");
  });
  Get("/slots", [this](const httplib::Request&, httplib::Response& response) {
    Slots(response);
  });
  const auto models = [this](const httplib::Request& request,
                             httplib::Response& response) {
    Models(request, response);
  };
  Get("/v1/models", models);
  Get("/models", models);
  Get("/v1/models/([^/]+)", models);
  Get("/v1/positions",
      [this](const httplib::Request&, httplib::Response& response) {
        Positions(response);
      });
  Get("/v1/positions/resolve",
      [this](const httplib::Request& request, httplib::Response& response) {
        ResolvePosition(request, response);
      });
  Post("/tokenize",
       [this](const httplib::Request& request, httplib::Response& response) {
         Tokenize(request, response);
       });
  Post("/detokenize",
       [this](const httplib::Request& request, httplib::Response& response) {
         Detokenize(request, response);
       });
  Get("/v1/files",
      [this](const httplib::Request&, httplib::Response& response) {
        ListFiles(response);
      });
  Post("/v1/files",
       [this](const httplib::Request& request, httplib::Response& response) {
         UploadFile(request, response);
       });
  Get("/v1/files/([^/]+)",
      [this](const httplib::Request& request, httplib::Response& response) {
        SetJson(response, ToJson(documents_.Find(request.matches[1].str())));
      });
  http_.Delete(
      "/v1/files/([^/]+)", Guarded([this](const httplib::Request& request,
                                          httplib::Response& response) {
        const std::string id = request.matches[1].str();
        documents_.Delete(id);
        SetJson(response, {{"id", id}, {"object", "file"}, {"deleted", true}});
      }));
}

void Service::Models(const httplib::Request& request,
                     httplib::Response& response) {
  const Scheme asked = Scheme::Parse(options_.worker.position);
  const int64_t most = worker_.MostContext();
  const Json model = {{"id", name_},
                      {"object", "model"},
                      {"created", started_},
                      {"owned_by", "ropewalk"},
                      {"ropewalk",
                       {{"architecture", model_.architecture()},
                        {"trained_length", model_.train_length()},
                        {"context_length", most},
                        {"position", options_.worker.position},
                        {"scheme", model_.Resolve(asked, most).ToString()},
                        {"kv_type", NameOf(options_.worker.kv_type)},
                        {"bytes_per_token", worker_.BytesPerToken()},
                        {"chat", chats_},
                        {"version", Version()}}}};
  if (request.matches.size() < 2) {
    return SetJson(response,
                   {{"object", "list"}, {"data", Json::array({model})}});
  }
  const std::string id = request.matches[1].str();
  if (id != name_) {
    throw ApiError(404,
                   "there is no model '" + Printable(id, 100) +
                       "'; this server has '" + name_ + "'",
                   "model", "model_not_found");
  }
  SetJson(response, model);
}

void Service::Positions(httplib::Response& response) {
  Json all = Json::array();
  for (const SchemeInfo& info : ListSchemes()) {
    Json parameters = Json::array();
    for (const SchemeParameter& parameter : info.parameters) {
      parameters.push_back(
          {{"name", parameter.name}, {"meaning", parameter.meaning}});
    }
    all.push_back({{"name", info.name},
                   {"summary", info.summary},
                   {"source", info.source},
                   {"parameters", std::move(parameters)}});
  }
  SetJson(response, {{"object", "list"}, {"data", std::move(all)}});
}

// What a scheme comes to at a length, before anything is asked.
void Service::ResolvePosition(const httplib::Request& request,
                              httplib::Response& response) {
  const std::string position = request.has_param("position")
                                   ? request.get_param_value("position")
                                   : options_.worker.position;
  const int64_t context =
      request.has_param("context")
          ? NumberOf(request.get_param_value("context"), "context")
      : request.has_param("tokens")
          ? worker_.ContextFor(
                {}, NumberOf(request.get_param_value("tokens"), "tokens"))
          : worker_.MostContext();
  try {
    const Scheme scheme = Scheme::Parse(position);
    const auto fails = model_.KnownToFail(scheme, context);
    const std::string runs = model_.Resolve(scheme, context).ToString();
    const std::string layers = model_.ChangedLayers(scheme, context);
    SetJson(response,
            {{"position", position},
             {"context", context},
             {"scheme", runs},
             {"described", layers.empty() ? runs : runs + " " + layers},
             {"fails", fails ? Json(*fails) : Json()}});
  } catch (const std::invalid_argument& error) {
    throw ApiError(400, error.what(), "position");
  }
}

void Service::Tokenize(const httplib::Request& request,
                       httplib::Response& response) {
  const TokenizeRequest asked = ParseTokenizeRequest(request.body);
  EncodeOptions options{.add_bos = false, .add_eos = false};
  if (asked.add_special) options = {};
  SetJson(response,
          {{"tokens", model_.tokenizer().Encode(asked.content, options)}});
}

void Service::Detokenize(const httplib::Request& request,
                         httplib::Response& response) {
  const std::vector<Token> tokens = ParseDetokenizeRequest(request.body);
  try {
    SetJson(response, {{"content", model_.tokenizer().Decode(tokens)}});
  } catch (const std::invalid_argument& error) {
    throw ApiError(400, error.what(), "tokens");
  }
}

void Service::Slots(httplib::Response& response) {
  Json all = Json::array();
  int64_t id = 0;
  for (const Slot& slot : worker_.Slots()) all.push_back(ToJson(slot, id++));
  SetJson(response, all);
}

void Service::ListFiles(httplib::Response& response) {
  Json all = Json::array();
  for (const DocumentInfo& info : documents_.List()) {
    all.push_back(ToJson(info));
  }
  SetJson(response,
          {{"object", "list"}, {"data", std::move(all)}, {"has_more", false}});
}

void Service::UploadFile(const httplib::Request& request,
                         httplib::Response& response) {
  if (!request.has_file("file")) {
    throw ApiError(400,
                   "a file is uploaded as multipart/form-data with a part "
                   "named \"file\"",
                   "file");
  }
  const httplib::MultipartFormData file = request.get_file_value("file");
  SetJson(response, ToJson(documents_.Upload(file.filename, file.content)));
}

}  // namespace ropewalk::serve
