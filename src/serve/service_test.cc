// The server over HTTP, on loopback.

#include "serve/service.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "formats/json_file.h"
#include "tests/tiny_model.h"

namespace ropewalk::serve {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A folder of this process, gone at the end.
class Folder {
 public:
  Folder()
      : path_(fs::temp_directory_path() /
              ("service_test_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

// A server in a thread of its own.
class Running {
 public:
  Running(const Model& model, ServiceOptions options) {
    options.http.port = 0;
    options.grace = 2000ms;
    service_ = std::make_unique<Service>(model, std::move(options));
    thread_ = std::thread([this] { service_->Serve(); });
    while (!Client().Get("/health")) std::this_thread::sleep_for(5ms);
  }
  ~Running() {
    service_->Stop();
    thread_.join();
  }

  httplib::Client Client() const {
    httplib::Client client("127.0.0.1", service_->port());
    client.set_read_timeout(60);
    return client;
  }
  int port() const { return service_->port(); }

 private:
  std::unique_ptr<Service> service_;
  std::thread thread_;
};

struct Answered {
  int status = 0;
  Json json;
  std::string text;
};

// Sends bytes as they are and returns all that comes back.
std::string SendRaw(int port, const std::string& bytes,
                    std::chrono::milliseconds pause = 0ms,
                    size_t piece = std::string::npos) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  for (size_t at = 0; at < bytes.size();) {
    const size_t count = std::min(piece, bytes.size() - at);
    if (send(fd, bytes.data() + at, count, MSG_NOSIGNAL) <= 0) break;
    at += count;
    if (pause > 0ms) std::this_thread::sleep_for(pause);
  }
  std::string all;
  char buffer[4096];
  for (;;) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    all.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return all;
}

class ServiceTest : public testing::Test {
 protected:
  ServiceTest()
      : chat_(LoadTiny()),
        novels_(Model::Load(
            std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf",
            {.threads = 2})) {}

  Model LoadTiny() const {
    WriteTinyModel(folder_ / "tiny.gguf", {.change_keys = MakeChatMl});
    return Model::Load(folder_ / "tiny.gguf",
                       {.train_length = 2048, .threads = 1});
  }

  static Answered Post(const Running& server, const std::string& path,
                       const Json& body, const httplib::Headers& headers = {}) {
    return Send(server, path, body.dump(), headers);
  }
  static Answered Send(const Running& server, const std::string& path,
                       const std::string& body,
                       const httplib::Headers& headers = {}) {
    const auto result =
        server.Client().Post(path, headers, body, "application/json");
    if (!result) return {};
    Answered reply{.status = result->status, .text = result->body};
    reply.json = Json::parse(result->body, nullptr, false);
    return reply;
  }
  static Answered Get(const Running& server, const std::string& path) {
    const auto result = server.Client().Get(path);
    if (!result) return {};
    return {result->status, Json::parse(result->body, nullptr, false),
            result->body};
  }
  static Json Completion(const std::string& prompt, int64_t tokens,
                         int64_t seed = 1) {
    return {{"prompt", prompt},
            {"max_tokens", tokens},
            {"seed", seed},
            {"ignore_eos", true}};
  }
  static std::string TextOf(const Answered& reply) {
    if (reply.status != 200) return reply.text;
    return reply.json["choices"][0]["text"].get<std::string>();
  }

  Folder folder_;
  const Model chat_;
  const Model novels_;
};

const char kLong[] =
    "There was no possibility of taking a walk that day. We had been "
    "wandering, indeed, in the leafless shrubbery an hour in the morning; but "
    "since dinner the cold winter wind had brought with it clouds so sombre, "
    "and a rain so penetrating, that further out-door exercise was now out of "
    "the question. I was glad of it: I never liked long walks, especially on "
    "chilly afternoons: dreadful to me was the coming home in the raw "
    "twilight, with nipped fingers and toes, and a heart saddened by the "
    "chidings of Bessie, the nurse, and humbled by the consciousness of my "
    "physical inferiority to Eliza, John, and Georgiana Reed.";

TEST_F(ServiceTest, ACompletionIsWhatTheLibraryWrites) {
  const Running server(novels_, {.worker = {.prompt_chunk = 64}});
  const Answered reply =
      Post(server, "/v1/completions", Completion("It was a dark", 12, 9));
  ASSERT_EQ(reply.status, 200) << reply.text;
  Session session(novels_);
  session.Read(novels_.tokenizer().Encode("It was a dark"));
  GenerateOptions options{.max_tokens = 12, .ignore_end_of_text = true};
  options.sampling.seed = 9;
  options.sampling.penalty_last = -1;
  EXPECT_EQ(TextOf(reply), session.Generate(options).text);
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 12);
  EXPECT_EQ(reply.json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(reply.json["ropewalk"]["trained_length"], 256);
  EXPECT_EQ(reply.json["ropewalk"]["context"], 256);
}

TEST_F(ServiceTest, AStreamIsTheWholeAnswerInPieces) {
  const Running server(novels_, {});
  Json body = Completion("It was a dark", 20);
  const std::string whole = TextOf(Post(server, "/v1/completions", body));
  body["stream"] = true;
  const Answered stream = Post(server, "/v1/completions", body);
  std::string text;
  std::string rest = stream.text;
  int frames = 0;
  for (size_t at = 0; (at = rest.find("data: ", at)) != std::string::npos;) {
    const size_t end = rest.find("\n\n", at);
    const std::string frame = rest.substr(at + 6, end - at - 6);
    at = end;
    if (frame == "[DONE]") break;
    ++frames;
    const Json chunk = Json::parse(frame);
    for (const Json& choice : chunk["choices"]) {
      text += choice["text"].get<std::string>();
    }
  }
  EXPECT_EQ(text, whole);
  EXPECT_GT(frames, 5);
  EXPECT_THAT(stream.text, HasSubstr("data: [DONE]\n\n"));
}

TEST_F(ServiceTest, AChatAnswersAndReusesItsBeginning) {
  const Running server(chat_, {.worker = {.prompt_chunk = 8}});
  Json body = {
      {"messages",
       Json::array({{{"role", "user"}, {"content", "What is it? Tell me."}}})},
      {"max_tokens", 5},
      {"seed", 2}};
  const Answered first = Post(server, "/v1/chat/completions", body);
  ASSERT_EQ(first.status, 200) << first.text;
  const Json message = first.json["choices"][0]["message"];
  EXPECT_EQ(message["role"], "assistant");
  EXPECT_EQ(first.json["ropewalk"]["reused_tokens"], 0);
  const Answered again = Post(server, "/v1/chat/completions", body);
  EXPECT_EQ(again.json["choices"][0]["message"], message);
  EXPECT_GE(again.json["ropewalk"]["reused_tokens"], 8);
  EXPECT_EQ(again.json["ropewalk"]["reused_tokens"].get<int64_t>() % 8, 0);
}

TEST_F(ServiceTest, ManyAtOnceAreWhatTheyAreAlone) {
  const Running server(novels_, {.worker = {.prompt_chunk = 16}});
  std::vector<Json> bodies;
  for (int64_t i = 0; i < 24; ++i) {
    std::string prompt = std::string(kLong).substr(0, 40 + 20 * (i % 7)) + " " +
                         std::to_string(i);
    Json body = Completion(prompt, 10 + i % 5, i);
    if (i % 3 == 1) body["position"] = "rerope:window=64";
    if (i % 3 == 2) body["context"] = 1000;
    bodies.push_back(body);
  }
  std::vector<std::string> alone;
  for (const Json& body : bodies) {
    alone.push_back(TextOf(Post(server, "/v1/completions", body)));
  }
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> texts(bodies.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < bodies.size(); ++i) {
      threads.emplace_back([&, i] {
        texts[i] = TextOf(Post(server, "/v1/completions", bodies[i]));
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(texts, alone);
  }
}

TEST_F(ServiceTest, AnswersToOnePromptShareItAndDiffer) {
  const Running server(novels_, {.worker = {.prompt_chunk = 16}});
  Json body = Completion(std::string(kLong).substr(0, 300), 8);
  body["n"] = 3;
  const Answered reply = Post(server, "/v1/completions", body);
  ASSERT_EQ(reply.status, 200) << reply.text;
  ASSERT_EQ(reply.json["choices"].size(), 3U);
  std::vector<std::string> texts;
  for (const Json& choice : reply.json["choices"]) {
    texts.push_back(choice["text"]);
  }
  EXPECT_NE(texts[0], texts[1]);
  EXPECT_NE(texts[1], texts[2]);
  EXPECT_EQ(reply.json["usage"]["completion_tokens"], 24);
  // The first of them is the answer that is asked for alone.
  body["n"] = 1;
  EXPECT_EQ(TextOf(Post(server, "/v1/completions", body)), texts[0]);
  const std::string metrics = Get(server, "/metrics").text;
  EXPECT_THAT(metrics, HasSubstr("ropewalk_reused_tokens_total"));
  EXPECT_THAT(metrics, testing::Not(HasSubstr("reused_tokens_total 0\n")));
}

TEST_F(ServiceTest, ALongConversationGoesOnBeyondTheTrainedLength) {
  const Running server(novels_, {.worker = {.prompt_chunk = 16}});
  const std::string text = std::string(kLong) + " " + kLong;
  const Answered within =
      Post(server, "/v1/completions", Completion(text.substr(0, 500), 4));
  ASSERT_EQ(within.json["ropewalk"]["context"], 256);
  const Answered beyond = Post(server, "/v1/completions", Completion(text, 4));
  ASSERT_EQ(beyond.status, 200) << beyond.text;
  EXPECT_EQ(beyond.json["ropewalk"]["context"], 512);
  EXPECT_EQ(beyond.json["ropewalk"]["extended_from"], 256);
  EXPECT_GT(beyond.json["ropewalk"]["reused_tokens"], 100);
  EXPECT_THAT(beyond.json["ropewalk"]["scheme"].get<std::string>(),
              HasSubstr("rerope"));
  int64_t keys = 0;
  for (const Json& band : beyond.json["ropewalk"]["bands"]) {
    keys += band["tokens"].get<int64_t>();
  }
  EXPECT_GT(keys, 150);
}

TEST_F(ServiceTest, WhatDoesNotFitIsRefusedWithBothCounts) {
  const Running server(novels_, {.worker = {.context = 300}});
  std::string text;
  while (text.size() < 3000) text += kLong;
  const Answered reply = Post(server, "/v1/completions", Completion(text, 4));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.json["error"]["code"], "context_length_exceeded");
  EXPECT_THAT(reply.json["error"]["message"].get<std::string>(),
              HasSubstr("at most 299"));
  Json body = Completion("It was", 4);
  body["context"] = 100'000;
  EXPECT_EQ(Post(server, "/v1/completions", body).json["error"]["param"],
            "context");
  body["context"] = 300;
  body["position"] = "rope";  // noise beyond 256
  EXPECT_EQ(Post(server, "/v1/completions", body).json["error"]["param"],
            "position");
  body["position"] = "no-such-scheme";
  EXPECT_EQ(Post(server, "/v1/completions", body).json["error"]["param"],
            "position");
}

TEST_F(ServiceTest, ACallersMistakeIsNamedAndTheServerLives) {
  const Running server(novels_, {});
  const std::vector<std::string> bodies = {
      "",
      "{",
      "[]",
      "null",
      "{\"prompt\": 5}",
      "{\"prompt\": \"\\ud800\"}",
      "{\"prompt\": \"a\", \"max_tokens\": 1e400}",
      "{\"prompt\": \"a\", \"max_tokens\": 0}",
      "{\"prompt\": \"a\", \"n\": 1000000}",
      "{\"prompt\": \"a\", \"temperature\": NaN}",
      "{\"prompt\": [1, 99999999]}",
      "{\"prompt\": []}",
      "{\"prompt\": \"a\", \"grammar\": \"root ::= [\"}",
      std::string(100'000, '[')};
  for (const std::string& body : bodies) {
    const Answered reply = Send(server, "/v1/completions", body);
    EXPECT_EQ(reply.status, 400) << body.substr(0, 60) << reply.text;
    EXPECT_TRUE(reply.json["error"]["message"].is_string()) << reply.text;
  }
  // A model without a chat template.
  const Answered chat =
      Send(server, "/v1/chat/completions",
           R"({"messages": [{"role": "user", "content": "Hi"}]})");
  EXPECT_EQ(chat.json["error"]["code"], "no_chat_template");
  EXPECT_EQ(Get(server, "/nowhere").status, 404);
  EXPECT_EQ(Get(server, "/../../etc/passwd").status, 404);
  EXPECT_EQ(Get(server, "/v1/models/other").status, 404);
  EXPECT_EQ(
      TextOf(Post(server, "/v1/completions", Completion("It", 2))).size(),
      TextOf(Post(server, "/v1/completions", Completion("It", 2))).size());
}

TEST_F(ServiceTest, HostileBytesCostOneClearAnswer) {
  ServiceOptions options;
  options.http.limits.header_time = 300ms;
  options.http.limits.body_time = 300ms;
  options.http.limits.idle_time = 300ms;
  options.http.limits.body_bytes = 1 << 20;
  const Running server(novels_, options);
  const std::string host = "Host: 127.0.0.1\r\n";
  std::string many = "GET /health HTTP/1.1\r\n" + host;
  for (int i = 0; i < 10'000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_THAT(SendRaw(server.port(), many + "\r\n"), HasSubstr(" 431 "));
  EXPECT_THAT(SendRaw(server.port(), "GET /" + std::string(100'000, 'a') +
                                         " HTTP/1.1\r\n" + host + "\r\n"),
              HasSubstr(" 4"));
  EXPECT_THAT(
      SendRaw(server.port(), "POST /v1/completions HTTP/1.1\r\n" + host +
                                 "Content-Length: 99999999999\r\n\r\n"),
      HasSubstr(" 413 "));
  // A body that never comes, and a header that comes byte by byte.
  EXPECT_THAT(SendRaw(server.port(), "POST /v1/completions HTTP/1.1\r\n" +
                                         host + "Content-Length: 100\r\n\r\n{"),
              HasSubstr(" 408 "));
  EXPECT_THAT(
      SendRaw(server.port(), "GET /health HTTP/1.1\r\n" + host, 20ms, 1),
      HasSubstr(" 408 "));
  std::string chunked = "POST /v1/completions HTTP/1.1\r\n" + host +
                        "Content-Type: application/json\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 40; ++i) {
    chunked += "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  }
  EXPECT_THAT(SendRaw(server.port(), chunked), HasSubstr(" 413 "));
  EXPECT_THAT(SendRaw(server.port(), std::string("\0\1\2\r\n\r\n", 7)),
              HasSubstr(" 400 "));
  EXPECT_EQ(Get(server, "/health").status, 200);
}

TEST_F(ServiceTest, WhoGoesAwayIsNotWrittenFor) {
  const Running server(novels_, {.worker = {.answer_tokens = 100'000}});
  Json body = Completion("It was", 100'000);
  body["context"] = 1000;
  body["stream"] = true;
  size_t got = 0;
  server.Client().Post("/v1/completions", httplib::Headers{}, body.dump(),
                       "application/json");
  // The client above reads to the end of the context; this one leaves.
  httplib::Client client = server.Client();
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/completions";
  request.body = body.dump();
  request.set_header("Content-Type", "application/json");
  request.content_receiver = [&](const char*, size_t size, uint64_t, uint64_t) {
    got += size;
    return got < 600;
  };
  (void)client.send(request);
  for (int i = 0; i < 200; ++i) {
    if (Get(server, "/slots").json.empty()) break;
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_TRUE(Get(server, "/slots").json.empty());
  EXPECT_THAT(Get(server, "/metrics").text,
              HasSubstr("ropewalk_requests_cancelled_total 1\n"));
}

TEST_F(ServiceTest, AnAnswerThatTakesTooLongIsEnded) {
  const Running server(chat_, {.worker = {.context = 1 << 20, .time = 1s}});
  Json body = Completion("It was", 1'000'000);
  body["context"] = 1 << 20;
  const Answered reply = Post(server, "/v1/completions", body);
  EXPECT_EQ(reply.status, 503) << reply.text.substr(0, 200);
  EXPECT_THAT(reply.text, HasSubstr("longer than the 1 s"));
  EXPECT_TRUE(Get(server, "/slots").json.empty());
}

TEST_F(ServiceTest, KeysAndOriginsAreChecked) {
  const Running server(novels_, {.access = {.keys = {"secret"}}});
  EXPECT_EQ(Get(server, "/").status, 200);
  EXPECT_EQ(Get(server, "/v1/models").status, 401);
  const httplib::Headers key = {{"Authorization", "Bearer secret"}};
  EXPECT_EQ(server.Client().Get("/v1/models", key)->status, 200);
  const httplib::Headers elsewhere = {{"Authorization", "Bearer secret"},
                                      {"Origin", "https://example.org"}};
  const auto refused = server.Client().Get("/v1/models", elsewhere);
  EXPECT_EQ(refused->status, 403);
  EXPECT_FALSE(refused->has_header("Access-Control-Allow-Origin"));
}

TEST_F(ServiceTest, ThePageIsWholeAndAsksNobodyElse) {
  const Running server(novels_, {});
  const auto page = server.Client().Get("/");
  ASSERT_EQ(page->status, 200);
  EXPECT_THAT(page->body, HasSubstr("<!doctype html>"));
  EXPECT_THAT(page->get_header_value("Content-Security-Policy"),
              HasSubstr("default-src 'self'"));
  EXPECT_EQ(page->body.find("src=\"http"), std::string::npos);
}

TEST_F(ServiceTest, ModelsAndPositionsAreDescribed) {
  const Running server(novels_, {.worker = {.answer_tokens = 16}});
  const Json models = Get(server, "/v1/models").json;
  const std::string id = models["data"][0]["id"];
  EXPECT_EQ(models["data"][0]["ropewalk"]["trained_length"], 256);
  EXPECT_EQ(models["data"][0]["ropewalk"]["chat"], false);
  EXPECT_EQ(Get(server, "/v1/models/" + id).json["id"], id);
  bool has_rerope = false;
  const Json positions = Get(server, "/v1/positions").json;
  for (const Json& scheme : positions["data"]) {
    has_rerope |= scheme["name"] == "rerope";
  }
  EXPECT_TRUE(has_rerope);
  const Json resolved =
      Get(server, "/v1/positions/resolve?position=rope&context=1000").json;
  EXPECT_THAT(resolved["fails"].get<std::string>(), HasSubstr("256"));
  EXPECT_TRUE(Get(server, "/v1/positions/resolve?position=auto&context=1000")
                  .json["fails"]
                  .is_null());
  // The context that a prompt of so many tokens would get.
  EXPECT_EQ(Get(server, "/v1/positions/resolve?tokens=9").json["context"], 256);
  EXPECT_EQ(Get(server, "/v1/positions/resolve?tokens=300").json["context"],
            512);
  EXPECT_EQ(Get(server, "/v1/positions/resolve?tokens=9999").status, 400);
  EXPECT_EQ(Get(server, "/v1/positions/resolve?position=x").status, 400);
  EXPECT_EQ(Get(server, "/v1/positions/resolve?context=-4").status, 400);
}

TEST_F(ServiceTest, TokensThereAndBack) {
  const Running server(novels_, {});
  const Answered tokens =
      Post(server, "/tokenize", {{"content", "It was a dark night"}});
  ASSERT_EQ(tokens.status, 200) << tokens.text;
  const Answered text =
      Post(server, "/detokenize", {{"tokens", tokens.json["tokens"]}});
  EXPECT_EQ(text.json["content"], "It was a dark night");
}

TEST_F(ServiceTest, AnUploadedFileIsReadOnceAndAttended) {
  const Running server(novels_, {.worker = {.position = "rerope:window=64"}});
  const httplib::MultipartFormDataItems items = {
      {"file", kLong, "walk.txt", "text/plain"}, {"purpose", "memory", "", ""}};
  const auto uploaded = server.Client().Post("/v1/files", items);
  ASSERT_EQ(uploaded->status, 200) << uploaded->body;
  const std::string id = Json::parse(uploaded->body)["id"];
  for (int i = 0; i < 500; ++i) {
    if (Get(server, "/v1/files/" + id).json["status"] != "uploaded") break;
    std::this_thread::sleep_for(10ms);
  }
  const Json file = Get(server, "/v1/files/" + id).json;
  EXPECT_EQ(file["status"], "processed") << file;
  EXPECT_GT(file["ropewalk"]["tokens"], 50);
  Json body = Completion("We had been wandering, indeed, in the", 8);
  const std::string without = TextOf(Post(server, "/v1/completions", body));
  body["memories"] = {id};
  const Answered with = Post(server, "/v1/completions", body);
  ASSERT_EQ(with.status, 200) << with.text;
  EXPECT_NE(TextOf(with), without);
  EXPECT_EQ(with.json["ropewalk"]["memories"], Json::array({"walk.txt"}));
  body["memories"] = {"other"};
  EXPECT_EQ(Post(server, "/v1/completions", body).json["error"]["param"],
            "memories");
  EXPECT_EQ(server.Client().Delete("/v1/files/" + id)->status, 200);
  EXPECT_EQ(Get(server, "/v1/files/" + id).status, 404);
}

TEST_F(ServiceTest, AConversationSurvivesARestart) {
  const WorkerOptions worker{.prompt_chunk = 16, .state = folder_ / "state"};
  const Json first = Completion(std::string(kLong).substr(0, 300), 4);
  std::string text;
  {
    const Running server(novels_, {.worker = worker});
    text = TextOf(Post(server, "/v1/completions", first));
  }
  const Running server(novels_, {.worker = worker});
  const Answered again = Post(server, "/v1/completions", first);
  EXPECT_EQ(TextOf(again), text);
  EXPECT_GE(again.json["ropewalk"]["reused_tokens"], 64);
}

TEST_F(ServiceTest, AFullStoreOfKeysMakesRoom) {
  const Model small = Model::Load(
      std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf",
      {.threads = 1, .memory_limit = 4 << 20});
  const Running server(small, {.worker = {.prompt_chunk = 16}});
  for (int i = 0; i < 12; ++i) {
    const Answered reply = Post(server, "/v1/completions",
                                Completion(std::to_string(i) + kLong, 4, i));
    ASSERT_EQ(reply.status, 200) << i << reply.text;
  }
  const Answered metrics = Get(server, "/metrics");
  EXPECT_THAT(metrics.text, HasSubstr("ropewalk_kv_limit_bytes 4194304"));
}

TEST_F(ServiceTest, AServerThatStopsEndsItsAnswers) {
  auto server = std::make_unique<Running>(
      novels_, ServiceOptions{.worker = {.answer_tokens = 100}});
  std::string text;
  std::thread asks([&] {
    text = TextOf(
        Post(*server, "/v1/completions", Completion("It was a dark", 100)));
  });
  while (Get(*server, "/slots").json.empty()) std::this_thread::sleep_for(1ms);
  httplib::Client late = server->Client();
  asks.join();
  server.reset();
  EXPECT_FALSE(text.empty());
  EXPECT_FALSE(late.Get("/health"));
}

}  // namespace
}  // namespace ropewalk::serve
